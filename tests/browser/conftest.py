"""A real Chromium, and a site to look at."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from experiments.chromium import chromium
from tests.site import Site


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    """A Chromium for all tests of a file: to start one takes as long as many of them."""
    try:
        with chromium() as browser:
            yield browser
    except FileNotFoundError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture
def browser(running: Browser) -> Iterator[Browser]:
    """The same, which remembers nothing of the test before, and has none of its pages open."""
    yield running
    for context in running.contexts:
        context.close()


@pytest.fixture
def page(browser: Browser) -> Page:
    return browser.new_page(viewport={"width": 1280, "height": 900}, timezone_id="Asia/Kathmandu")


@pytest.fixture
def site(kafka: str, tmp_path: Path) -> Iterator[Site]:
    site = Site(kafka, tmp_path, partitions=2, idle_timeout=3600)
    yield site
    site.close()
