"""Fixtures of the tests that need Kafka."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.site import Site


@pytest.fixture
def site(kafka: str, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes a site of these settings; what runs on it ends with the test."""
    sites: list[Site] = []

    def make(**given: Any) -> Site:
        sites.append(Site(kafka, tmp_path, **given))
        return sites[-1]

    yield make
    for each in sites:
        each.close()
