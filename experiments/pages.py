"""What the site holds beside ``docs/``: the repository's other pages, and the files that pages point at.

A hook of MkDocs. Pages are written for the repository, where ``docs/`` is a folder among others; to MkDocs
there is that folder alone. So each link is led to where its target is on the site: another page, or one that
shows a file.
"""

import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from experiments.drawing import DIAGRAM, drawing

ROOT = Path(__file__).parents[1]
#: Pages outside ``docs/``, and what the site calls them; its README would be the start page.
OTHERS = {
    "README.md": "guide.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
} | {
    page.relative_to(ROOT).as_posix(): f"pipelines/{page.parent.name}.md"
    for page in sorted((ROOT / "pipelines").glob("*/README.md"))
}
#: Where files of the repository are shown.
FILES = "files"
LINK = re.compile(r'(\]\(|<img src=")([^)"\s]+)')
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {".py": "python", ".yml": "yaml", ".yaml": "yaml", ".json": "json", ".toml": "toml", ".sh": "sh"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the other pages, and one for each file or folder that a page points at."""
    for page, name in OTHERS.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / page)))
    pages = [_in_repository(file.src_uri) for file in files.documentation_pages()]
    waiting = [target for page in pages for target in _targets(page)]
    while waiting:
        path = waiting.pop()
        name = _on_site(path)
        if name.startswith(f"{FILES}/") and files.get_file_from_path(name) is None:
            inside = (
                sorted(entry.name for entry in (ROOT / path).iterdir()) if (ROOT / path).is_dir() else None
            )
            files.append(File.generated(config, name, content=_shown(path, inside)))
            waiting += [f"{path}/{entry}" for entry in inside or ()]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the links of a page to where things are on the site."""
    here = page.file.src_uri
    if here.startswith(f"{FILES}/"):
        return markdown
    path = _in_repository(here)

    def led(link: str) -> str:
        target = _resolved(path, link)
        if target is None:
            return link
        fragment = urlsplit(link).fragment
        found = posixpath.relpath(_on_site(target), posixpath.dirname(here) or ".")
        return f"{found}#{fragment}" if fragment else found

    return DIAGRAM.sub(lambda found: _drawn(path, found[1]), _with_links(markdown, led))


def _drawn(page: str, text: str) -> str:
    """A diagram as the image of it.

    Raises:
        PluginError: there is none of this text.
    """
    image = drawing(text)
    if not (ROOT / "docs" / image).exists():
        raise PluginError(f"{page} has a diagram that is not drawn: see experiments/drawing.py")
    up = posixpath.relpath("docs", posixpath.dirname(page) or ".")
    return f"![A diagram]({up}/{image}){{ style='background: white' }}"


def _in_repository(name: str) -> str:
    """The path in the repository of what the site calls so."""
    named = {site: path for path, site in OTHERS.items()}
    return named.get(name, f"docs/{name}")


def _on_site(path: str) -> str:
    """What the site calls a path of the repository."""
    if path in OTHERS:
        return OTHERS[path]
    if path.startswith("docs/"):
        inside = path.removeprefix("docs/")
        return f"{inside}/README.md" if (ROOT / path).is_dir() else inside
    return f"{FILES}/{path}.md"


def _targets(page: str) -> list[str]:
    """Paths in the repository that a page points at."""
    found: list[str] = []

    def seen(link: str) -> str:
        if target := _resolved(page, link):
            found.append(target)
        return link

    _with_links((ROOT / page).read_text(), seen)
    return found


def _resolved(page: str, link: str) -> str | None:
    """Where in the repository a link of a page leads; nowhere, if it leads out of it or stays on the page.

    Raises:
        PluginError: nothing is there.
    """
    target = urlsplit(link)
    if target.scheme or not target.path:
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(target.path)))
    if path.startswith("..") or not (ROOT / path).exists():
        raise PluginError(f"{page} points at {link}, which is not there")
    return path


def _with_links(markdown: str, led: Callable[[str], str]) -> str:
    """The page with its links led elsewhere; blocks of code stay as they are."""

    def replaced(text: str) -> str:
        return LINK.sub(lambda found: found[1] + led(found[2]), text)

    parts, end = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [replaced(markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, replaced(markdown[end:])])


def _shown(path: str, inside: list[str] | None) -> str:
    """A page that shows a file, or lists what is in a folder."""
    head = f"---\nsearch:\n  exclude: true\n---\n\n# {path}\n\n"
    if inside is not None:
        return head + "".join(f"* [{name}]({posixpath.basename(path)}/{name}.md)\n" for name in inside)
    there = ROOT / path
    return f"{head}````{LANGUAGES.get(there.suffix, 'text')}\n{there.read_text()}\n````\n"
