"""What is set aside: copies of what was rejected, and of the clicks that came late."""

import asyncio
from collections.abc import Callable, Sequence

from faust.types import TP

from app.delivery import Deliveries, Outgoing
from clickwarden.detection.batch import Batch
from clickwarden.detection.clicks import Rejected
from clickwarden.detection.detection import Findings
from clickwarden.detection.windows import WindowName
from clickwarden.formats.aside import (
    HEADER_DETAIL,
    HEADER_ELEMENT,
    HEADER_OFFSET,
    HEADER_PARTITION,
    HEADER_REASON,
    HEADER_RULES,
    HEADER_TOPIC,
    HEADER_UNCOUNTED,
    HEADER_UNCOUNTED_WINDOWS,
    HEADER_WINDOWS,
    carried,
)
from clickwarden.formats.fields import Record
from clickwarden.settings import Settings


class Aside:
    """Copies records of one partition, or the clicks in them, with the reason behind their own headers.

    Each goes to the partition of the same number.
    """

    def __init__(self, settings: Settings, tp: TP, deliveries: Deliveries) -> None:
        self._settings = settings
        self._tp = tp
        self._deliveries = deliveries

    async def put_rejected(self, batch: Batch) -> None:
        """Copy what of a batch could not be counted."""
        for record in batch.rejected:
            headers = {HEADER_REASON: record.reason, HEADER_DETAIL: record.detail}
            await self._copy(self._settings.rejected_topic, record, headers, record.element, record.value)

    async def put_late(
        self,
        records: Sequence[Record],
        batch: Batch,
        findings: Findings,
        elements_of: Callable[[Record], list[bytes]],
    ) -> None:
        """Copy the clicks of a batch that came late.

        Args:
            records: that the batch was made of.
            batch: the clicks.
            findings: what they have brought to light.
            elements_of: takes a record that holds several things apart.
        """
        opened, elements = -1, []
        for click, late in findings.late.items():
            headers = {HEADER_REASON: "late", HEADER_RULES: _rules(late), HEADER_WINDOWS: _windows(late)}
            if uncounted := findings.uncounted.get(click):
                headers |= {
                    HEADER_UNCOUNTED: _rules(uncounted),
                    HEADER_UNCOUNTED_WINDOWS: _windows(uncounted),
                }
            number, element = batch.record(click), batch.element(click)
            record, value = records[number], records[number].value
            if element is not None:
                if number != opened:
                    opened, elements = number, await asyncio.to_thread(elements_of, record)
                value = elements[element]
            await self._copy(self._settings.late_topic, record, headers, element, value)

    async def put_unscored(self, record: Record, why: str, *, late: bool) -> None:
        """Copy a record of a pipeline that has no features."""
        topic = self._settings.late_topic if late else self._settings.rejected_topic
        await self._copy(topic, record, {HEADER_REASON: why}, None, record.value)

    async def _copy(
        self,
        topic: str,
        record: Record | Rejected,
        headers: dict[str, str],
        element: int | None,
        value: bytes | None,
    ) -> None:
        origin = {
            HEADER_TOPIC: self._tp.topic,
            HEADER_PARTITION: str(self._tp.partition),
            HEADER_OFFSET: str(record.offset),
        }
        if element is not None:
            origin[HEADER_ELEMENT] = str(element)
        told = carried(record.headers, whole=element is None)
        told += [(name, text.encode()) for name, text in (origin | headers).items()]
        if record.key is None and value is None:
            value = b""  # aiokafka sends no record without both
        await self._deliveries.send(Outgoing(topic, record.key, value, self._tp.partition, told))


def _rules(windows: Sequence[WindowName]) -> str:
    return ",".join(dict.fromkeys(window.rule for window in windows))


def _windows(windows: Sequence[WindowName]) -> str:
    return ",".join(f"{window.rule}/{window.start}" for window in windows)
