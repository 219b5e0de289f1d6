"""Snapshots: all that detection knows of one source partition, in one record."""

import msgspec
import zstandard

from clickwarden.detection.detection import Detection, Parameters, RuleWindows
from clickwarden.detection.rules import Rule
from clickwarden.detection.suspects import Suspect, Suspects
from clickwarden.detection.windows import Window
from clickwarden.errors import SnapshotError
from clickwarden.release import RELEASE

#: Layout of a snapshot. Older ones are read, newer ones are refused.
VERSION = 1
_MAGIC = b"CW"


class _Window(msgspec.Struct, array_like=True):
    start: int
    seed: int
    max_suspects: int
    clicks: int
    cells: bytes
    cell_clicks: int
    suspects: dict[str, Suspect]


class _RuleWindows(msgspec.Struct, array_like=True):
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
    rule_windows: list[_RuleWindows]
    changes: list[tuple[int, tuple[Rule, ...]]]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Snapshot)


def dump(detection: Detection) -> bytes:
    """The detection's state and the source position it belongs to."""
    snapshot = _Snapshot(
        written_by=RELEASE,
        next_offset=detection.next_offset,
        newest=detection.newest,
        accepted=detection.accepted,
        late=detection.late,
        ignored=detection.ignored,
        rejected=detection.rejected,
        rule_windows=[
            _RuleWindows(
                rule=ruled.rule,
                since=ruled.since,
                until=ruled.until,
                sealed=ruled.sealed,
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
                    for window in ruled.windows.values()
                ],
            )
            for ruled in detection.rule_windows
        ],
        changes=detection.changes,
    )
    return _encoder.encode(snapshot)


def compress(dumped: bytes) -> bytes:
    """A snapshot of what was dumped; takes longest, and needs neither the detection nor the GIL."""
    return _MAGIC + bytes([VERSION]) + zstandard.ZstdCompressor(level=3).compress(dumped)


def load(value: bytes, partition: int, parameters: Parameters) -> Detection:
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
        return _restore(snapshot, partition, parameters)
    except (zstandard.ZstdError, msgspec.MsgspecError, ValueError) as error:
        raise SnapshotError(f"the snapshot of partition {partition} is broken: {error}") from error


def _restore(snapshot: _Snapshot, partition: int, parameters: Parameters) -> Detection:
    detection = Detection(partition, (), parameters)
    if snapshot.next_offset is not None:
        detection.advance(snapshot.next_offset)
    detection.newest = snapshot.newest
    detection.accepted = snapshot.accepted
    detection.late = snapshot.late
    detection.ignored = snapshot.ignored
    detection.rejected = snapshot.rejected
    for saved in snapshot.rule_windows:
        ruled = RuleWindows(saved.rule, saved.since)
        ruled.until = saved.until
        ruled.sealed = saved.sealed
        for opened in saved.windows:
            window = Window(opened.start, saved.rule, opened.seed, opened.max_suspects)
            window.clicks = opened.clicks
            window.sketch.restore(opened.cells, opened.cell_clicks)
            window.suspects = Suspects(saved.rule.threshold, opened.suspects)
            ruled.windows[window.start] = window
        detection.rule_windows.append(ruled)
    detection.changes = snapshot.changes
    return detection
