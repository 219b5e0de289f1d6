"""Anomalies on their way to Kafka, where there are thousands at once."""

import asyncio
from typing import Any

import msgspec

from agents.anomalies import TOGETHER, emit
from app.delivery import Outgoing
from clickwarden.detection.anomaly import Anomaly
from clickwarden.settings import Settings
from tests.anomalies import record


class Sent:
    """Takes all that is sent, at once."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []

    async def send(self, record: Outgoing) -> None:
        self.records.append(record)


async def test_others_have_their_turn_while_many_are_sent() -> None:
    sent: Any = Sent()
    turns = []

    async def wait() -> None:
        while len(sent.records) < 10 * TOGETHER:
            turns.append(len(sent.records))
            await asyncio.sleep(0)

    told = [msgspec.json.decode(record(str(number)), type=Anomaly) for number in range(10 * TOGETHER)]
    await asyncio.gather(wait(), emit(told, Settings(_env_file=None), sent, 1_800_000_000))
    assert len(sent.records) == 10 * TOGETHER
    assert turns == list(range(0, 10 * TOGETHER, TOGETHER))
