"""What the pages point at is there: links, headings, paths, names, tests."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parent.parent
#: What is made here while something runs, and need not be there.
MADE = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()} - MADE
PACKAGES = ("clickwarden", "app", "tables", "agents", "web", "commands", "bench", "tests")

LINK = re.compile(r'\]\(([^)\s]+)\)|<img src="([^"]+)"')
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
#: From a folder of the repository on; and a file of its root, which elsewhere may be anybody's.
PATH = re.compile(r"([\w.-]+)(?:/[\w.*-]*)+")
FILE = re.compile(r"[\w.-]+\.(?:py|md|toml|txt|yml)")
DOTTED = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+")
TEST = re.compile(r"test_\w+")


def pages() -> list[str]:
    """Every page of the repository, also one that is not committed yet."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [page for page in listed.splitlines() if (ROOT / page).exists()]


PAGES = pages()


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return CODE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def spans(page: str) -> Iterator[str]:
    """What stands between backticks."""
    yield from SPAN.findall(prose(ROOT / page))


def is_there(path: str) -> bool:
    """Whether a path, which may be a pattern, leads to something, or to what a run will leave there."""
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    return any(ROOT.glob(path)) or f"/{path}" in ignored


def test_there_are_pages() -> None:
    assert {"README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/decisions/README.md"} <= set(PAGES)


def leads_somewhere(link: str, page: Path) -> bool:
    """Whether a link is to another site, or to a file and heading of the repository."""
    target = urlsplit(link)
    if target.scheme:
        return True
    there = (page.parent / unquote(target.path)).resolve() if target.path else page
    if not there.is_relative_to(ROOT) or not there.exists():
        return False
    return not target.fragment or target.fragment in anchors(there)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    here = ROOT / page
    links = ["".join(found) for found in LINK.findall(prose(here))]
    assert [link for link in links if not leads_somewhere(link, here)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_is_named_exists(page: str) -> None:
    paths = {found[0] for found in map(PATH.fullmatch, spans(page)) if found and found[1] in FOLDERS}
    assert {path for path in paths if not is_there(path)} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_exists(page: str) -> None:
    written = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = {span for span in spans(page) if TEST.fullmatch(span)}
    assert {name for name in named if f"def {name}(" not in written} == set()


def test_contributing_names_files_that_exist() -> None:
    files = {span for span in spans("CONTRIBUTING.md") if FILE.fullmatch(span)}
    assert files
    assert {file for file in files if not is_there(file)} == set()


def test_contributing_names_code_that_exists() -> None:
    names = {span for span in spans("CONTRIBUTING.md") if DOTTED.fullmatch(span)}
    assert names
    for name in names:
        resolve_name(name)


def test_the_newest_release_is_the_version() -> None:
    releases = re.findall(
        r"^## \[(\d[\d.]*)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert releases[0] == version


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    pages = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text()) == pages
    assert [name[:4] for name in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
