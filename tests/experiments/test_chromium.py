"""Which browser is taken, and what is done where there is none."""

import os
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from experiments import chromium

STARTS = "#!/bin/sh\nexit 0\n"
ASKS_FOR_A_SNAP = "#!/bin/sh\nexit 1\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of programs; nothing can be downloaded."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "playwright"))
    monkeypatch.setenv("PLAYWRIGHT_DOWNLOAD_HOST", "http://127.0.0.1:1")
    return tmp_path


def program(path: Path, script: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)
    return str(path)


def found() -> str:
    with sync_playwright() as playwright:
        return chromium.find(playwright)


def test_the_first_that_starts_is_taken_playwrights_own_last(folder: Path) -> None:
    with sync_playwright() as playwright:
        with pytest.raises(FileNotFoundError):
            chromium.find(playwright)
        own = program(Path(playwright.chromium.executable_path), STARTS)
        assert chromium.find(playwright) == own
        before = own
        for name in ("google-chrome", "chromium-browser", "chromium"):
            browser = program(folder / name, ASKS_FOR_A_SNAP)
            assert chromium.find(playwright) == before
            before = program(folder / name, STARTS)
            assert chromium.find(playwright) == before == browser


@pytest.fixture
def apt(folder: Path) -> None:
    """An apt-get that puts what starts where the name of a package says, but only after an update."""
    program(
        folder / "apt-get",
        f"""#!/bin/sh
cd {folder}
case "$*" in
  *update) : >lists; exit ;;
esac
test -e lists || exit 100
for package; do
  printf '#!/bin/sh\n' >"$package"
  /bin/chmod +x "$package"
done
""",
    )


@pytest.fixture
def needs_libatomic(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Node.js for Playwright that does not start before there is libatomic."""
    bundled = files("playwright") / "driver" / "node"
    starts = program(folder / "node", f'#!/bin/sh\n{folder}/libatomic1 && exec {bundled} "$@"\n')
    monkeypatch.setenv("PLAYWRIGHT_NODEJS_PATH", starts)


@pytest.mark.usefixtures("apt", "needs_libatomic")
def test_root_installs_debians_and_what_playwright_lacks(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    chromium.install()
    assert found() == str(folder / "chromium")


@pytest.mark.usefixtures("apt", "needs_libatomic")
def test_nobody_else_asks_apt_get(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(FileNotFoundError, match="apt-get install chromium"):
        chromium.install()
    assert not (folder / "lists").exists()


def test_where_neither_can_be_had_each_says_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program(folder / "apt-get", "#!/bin/sh\necho 'E: no lists' >&2; exit 100\n")
    with pytest.raises(FileNotFoundError) as caught:
        chromium.install()
    assert "\n" not in str(caught.value)
    debian, why, own, refused = capsys.readouterr().out.splitlines()
    assert "apt-get -qq install" in debian
    assert why == "E: no lists"
    assert own.endswith("playwright install chromium")
    assert "127.0.0.1:1" in refused


@pytest.mark.usefixtures("apt")
def test_what_is_there_is_not_installed_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program(folder / "google-chrome", STARTS)
    chromium.install()
    assert capsys.readouterr().out == ""
    assert not (folder / "lists").exists()
