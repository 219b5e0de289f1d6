"""A Chromium for Playwright to drive; ``python -m experiments.chromium`` installs one where there is none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from playwright.sync_api import Browser, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MISSING = (
    "no Chromium starts here, or Playwright itself does not; what they lack brings: "
    "apt-get install chromium libatomic1, or .venv/bin/playwright install --with-deps chromium"
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that is closed on exit.

    Raises:
        FileNotFoundError: there is none on this machine.
    """
    with _playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(playwright), args=FLAGS)
        yield browser
        browser.close()


def find(playwright: Playwright) -> str:
    """Path of a browser that starts: Ubuntu's only asks for its snap, Playwright's may lack libraries.

    Raises:
        FileNotFoundError: there is none on this machine.
    """
    for path in (*map(shutil.which, NAMES), playwright.chromium.executable_path):
        if path and _starts(path):
            return path
    raise FileNotFoundError(MISSING)


def install() -> None:
    """Install what is missing: from Debian if we are root, else Playwright's own browser.

    Raises:
        FileNotFoundError: neither can be had.
    """
    for command in _installers():
        if _is_there():
            return
        print(f"no Chromium starts here: {command}", flush=True)
        done = subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            said = (line for line in done.stderr.splitlines() if line.startswith(("E: ", "Error: ")))
            print(next(said, f"exit code {done.returncode}"), flush=True)
    if not _is_there():
        raise FileNotFoundError(MISSING)


def _installers() -> Iterator[str]:
    """Commands of the shell, the best first; the Node.js in Playwright's wheel needs libatomic."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        yield (
            "apt-get -qq update && DEBIAN_FRONTEND=noninteractive "
            "apt-get -qq install --yes --no-install-recommends chromium libatomic1"
        )
    yield f"{sys.executable} -m playwright install chromium"


def _is_there() -> bool:
    try:
        with _playwright() as playwright:
            find(playwright)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _playwright() -> Iterator[Playwright]:
    with ExitStack() as stack:
        try:
            playwright = stack.enter_context(sync_playwright())
        except Exception as error:  # as it says that its Node.js ended
            raise FileNotFoundError(MISSING) from error
        yield playwright


def _starts(path: str) -> bool:
    try:
        return subprocess.run([path, "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    try:
        install()
    except FileNotFoundError as error:
        sys.exit(str(error))
