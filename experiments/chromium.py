"""A Chromium for Playwright to drive; ``python -m experiments.chromium`` installs one where there is none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
    "there is no Chromium that starts; get one with: apt-get install chromium, "
    "or with: .venv/bin/playwright install --with-deps chromium"
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that is closed on exit.

    Raises:
        FileNotFoundError: there is none on this machine.
    """
    with sync_playwright() as playwright:
        found = find(playwright)
        if found is None:
            raise FileNotFoundError(MISSING)
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


def find(playwright: Playwright) -> str | None:
    """Path of a browser that starts: Ubuntu's only asks for its snap, Playwright's may lack libraries."""
    found = (*map(shutil.which, NAMES), playwright.chromium.executable_path)
    return next((path for path in found if path and _starts(path)), None)


def install() -> None:
    """Install Chromium where there is none: Debian's if we are root, else Playwright's own.

    Raises:
        FileNotFoundError: neither can be had.
    """
    with sync_playwright() as playwright:
        for command in _installers():
            if find(playwright):
                return
            print(f"there is no Chromium that starts: {command}", flush=True)
            done = subprocess.run(
                command, shell=True, stdin=subprocess.DEVNULL, capture_output=True, text=True
            )
            if done.returncode:
                said = (line for line in done.stderr.splitlines() if line.startswith(("E: ", "Error: ")))
                print(next(said, f"exit code {done.returncode}"), flush=True)
        if find(playwright) is None:
            raise FileNotFoundError(MISSING)


def _installers() -> Iterator[str]:
    """Commands of the shell, the best first."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        yield (
            "apt-get -qq update && DEBIAN_FRONTEND=noninteractive "
            "apt-get -qq install --yes --no-install-recommends chromium"
        )
    yield f"{sys.executable} -m playwright install chromium"


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
