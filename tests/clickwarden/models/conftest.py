"""The pipeline fraud, and its sample."""

from pathlib import Path

import pytest

from clickwarden import zstd
from clickwarden.models.pipeline import Pipeline

FOLDER = Path(__file__).parents[3] / "pipelines" / "fraud"


@pytest.fixture
def fraud() -> Pipeline:
    return Pipeline.load(FOLDER)


@pytest.fixture
def transactions() -> list[bytes]:
    """The values of 5,000 records of its topic."""
    return zstd.decompress((FOLDER / "sample.ndjson.zst").read_bytes()).splitlines()[:5000]
