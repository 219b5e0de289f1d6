"""Snapshots: all that detection knows of one source partition, in one record."""

from importlib.metadata import version

import msgspec
import zstandard

from app.application import app
from app.errors import SnapshotError
from app.rules import Rule
from app.settings import Settings
from tables.detection import Detection, Detector
from tables.partitioned import PartitionedTable, declare
from tables.suspects import Suspect, Suspects
from tables.windows import Window

#: Layout of a snapshot. Older ones are read, newer ones are refused.
VERSION = 1
_MAGIC = b"CW"

#: Key of a partition's snapshot.
KEY = b"snapshot"

_RELEASE = version("clickwarden")

snapshots = declare(app, "snapshots", PartitionedTable)


class _Window(msgspec.Struct, array_like=True):
    start: int
    seed: int
    max_suspects: int
    clicks: int
    cells: bytes
    cell_clicks: int
    suspects: dict[str, Suspect]


class _Detector(msgspec.Struct, array_like=True):
    rule: Rule
    since: float
    until: float
    sealed: float
    windows: list[_Window]


class _Snapshot(msgspec.Struct, array_like=True):
    written_by: str
    next_offset: int | None
    newest: float
    accepted: int
    late: int
    ignored: int
    rejected: dict[str, int]
    detectors: list[_Detector]
    changes: list[tuple[int, tuple[Rule, ...]]]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Snapshot)


def dump(detection: Detection) -> bytes:
    """The detection's state and the source position it belongs to."""
    snapshot = _Snapshot(
        written_by=_RELEASE,
        next_offset=detection.next_offset,
        newest=detection.newest,
        accepted=detection.accepted,
        late=detection.late,
        ignored=detection.ignored,
        rejected=detection.rejected,
        detectors=[
            _Detector(
                rule=detector.rule,
                since=detector.since,
                until=detector.until,
                sealed=detector.sealed,
                windows=[
                    _Window(
                        start=window.start,
                        seed=window.seed,
                        max_suspects=window.max_suspects,
                        clicks=window.clicks,
                        cells=window.sketch.cells.tobytes(),
                        cell_clicks=window.sketch.clicks,
                        suspects=window.suspects.all(),
                    )
                    for window in detector.windows.values()
                ],
            )
            for detector in detection.detectors
        ],
        changes=detection.changes,
    )
    return _encoder.encode(snapshot)


def compress(dumped: bytes) -> bytes:
    """A snapshot of what was dumped; takes longest, and needs neither the detection nor the GIL."""
    return _MAGIC + bytes([VERSION]) + zstandard.ZstdCompressor(level=3).compress(dumped)


def load(value: bytes, partition: int, settings: Settings) -> Detection:
    """The detection a snapshot was made of.

    Raises:
        SnapshotError: it is broken, or of a version this worker cannot read.
    """
    if value[:2] != _MAGIC or len(value) < 3:
        raise SnapshotError(f"the snapshot of partition {partition} is broken: it does not start with CW")
    if value[2] > VERSION:
        raise SnapshotError(
            f"the snapshot of partition {partition} has version {value[2]}, this worker reads up to "
            f"{VERSION}: run the release that wrote it, or a newer one"
        )
    try:
        snapshot = _decoder.decode(zstandard.ZstdDecompressor().decompress(value[3:]))
        return _restore(snapshot, partition, settings)
    except (zstandard.ZstdError, msgspec.MsgspecError, ValueError) as error:
        raise SnapshotError(f"the snapshot of partition {partition} is broken: {error}") from error


def _restore(snapshot: _Snapshot, partition: int, settings: Settings) -> Detection:
    detection = Detection(partition, (), settings)
    detection.next_offset = snapshot.next_offset
    detection.newest = snapshot.newest
    detection.accepted = snapshot.accepted
    detection.late = snapshot.late
    detection.ignored = snapshot.ignored
    detection.rejected = snapshot.rejected
    for saved in snapshot.detectors:
        detector = Detector(saved.rule, saved.since)
        detector.until = saved.until
        detector.sealed = saved.sealed
        for opened in saved.windows:
            window = Window(opened.start, saved.rule, opened.seed, opened.max_suspects)
            window.clicks = opened.clicks
            window.sketch.restore(opened.cells, opened.cell_clicks)
            window.suspects = Suspects(saved.rule.threshold, opened.suspects)
            detector.windows[window.start] = window
        detection.detectors.append(detector)
    detection.changes = snapshot.changes
    return detection
