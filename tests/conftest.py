"""Fixtures of more than one test module."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from clickwarden.sandbox.broker import Broker

# How long an example takes is the machine's business, on which others run beside.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap address of a Kafka of one node: KAFKA_FOR_TESTS, or one started for the session."""
    running = os.environ.get("KAFKA_FOR_TESTS")
    if running:
        yield running
        return
    with Broker(tmp_path_factory.mktemp("broker"), port=0) as broker:
        yield broker.bootstrap
