"""Snapshots: all that detection knows of one source partition.

One record, and beside it one for each window that is over and can still be
corrected: what it had counted never changes, so it is written once.
"""

import math
from collections.abc import Mapping

import msgspec

from clickwarden import zstd
from clickwarden.detection.closed import ClosedWindow, Outcome, Spans
from clickwarden.detection.detection import Detection, Parameters
from clickwarden.detection.rule_windows import RuleWindows
from clickwarden.detection.rules import Rule
from clickwarden.detection.sketch import digest_of
from clickwarden.detection.suspect import Suspect
from clickwarden.detection.suspects import Suspects
from clickwarden.detection.told import Told
from clickwarden.detection.windows import WindowName
from clickwarden.errors import SnapshotError
from clickwarden.release import RELEASE

#: Layout of a snapshot. Older ones are read, newer ones are refused.
VERSION = 5
_MAGIC = b"CW"


#: A digest; up to version 2 the seed itself.
_Seed = int | bytes


class _Pane(msgspec.Struct, array_like=True):
    start: int
    seed: _Seed
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
    # Windows up to version 4, which are panes where they lie side by side.
    panes: list[_Pane]
    # Since version 4.
    told: dict[int, dict[str, int]] = {}
    # Since version 5.
    closed: float = -math.inf


class _ClosedWindow(msgspec.Struct, array_like=True):
    ruled: int
    start: int
    counted: bool
    closed: float
    late: dict[str, int]
    suspects: dict[str, Suspect]
    revisions: dict[str, int]
    changed: list[str]
    due: float
    until: float


class _Outcome(msgspec.Struct, array_like=True):
    seed: _Seed
    cell_bytes: int
    cells: bytes
    suspects: dict[str, Suspect]


class _Clock(msgspec.Struct, array_like=True):
    time: float
    newest: float
    received: float
    now: float
    moments: list[float]
    live: list[bool]
    delays: list[tuple[int, float, float]]


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
    # Since version 2.
    clock: _Clock | None = None
    uncounted: int = 0
    closed: list[_ClosedWindow] = []
    forgotten: dict[str, list[tuple[int, int]]] = {}
    # Since version 5.
    allow_list: int = 0
    allow_lists: list[tuple[int, int]] = []


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Snapshot)
_outcome_decoder = msgspec.msgpack.Decoder(_Outcome)


def dump(detection: Detection) -> bytes:
    """The detection's state and the source position it belongs to."""
    rules = {id(ruled.rule): number for number, ruled in enumerate(detection.rule_windows)}
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
                panes=[
                    _Pane(
                        start=pane.start,
                        seed=digest_of(pane.seed),
                        max_suspects=pane.max_suspects,
                        clicks=pane.clicks,
                        cells=pane.sketch.cells.tobytes(),
                        cell_clicks=pane.sketch.clicks,
                        suspects=pane.suspects.all(),
                    )
                    for pane in ruled.panes.values()
                ],
                told=ruled.told.incidents,
                closed=ruled.closed,
            )
            for ruled in detection.rule_windows
        ],
        changes=detection.changes,
        clock=_Clock(
            detection.clock.time,
            detection.clock.newest,
            detection.clock.received,
            detection.clock.now,
            detection.clock.moments,
            detection.clock.live,
            detection.delays.spans,
        ),
        uncounted=detection.uncounted,
        closed=[
            _ClosedWindow(
                ruled=rules[id(window.rule)],
                start=window.start,
                counted=window.outcome is not None,
                closed=window.closed,
                late=window.late,
                suspects=window.suspects,
                revisions=window.revisions,
                changed=list(window.changed),
                due=window.due,
                until=window.until,
            )
            for window in detection.closed
        ],
        forgotten={rule: spans.bounds for rule, spans in detection.closed.forgotten.items()},
        allow_list=detection.allowing.number,
        allow_lists=detection.allowing.changes,
    )
    return _encoder.encode(snapshot)


def outcome_key(name: WindowName) -> bytes:
    """Key of the record that holds what a window had counted; ``name`` is its rule's and its start."""
    rule, start = name
    return f"closed/{rule}/{start}".encode()


def dump_outcome(outcome: Outcome) -> bytes:
    """What a window had counted when it was closed."""
    return _encoder.encode(
        _Outcome(digest_of(outcome.seed), outcome.cell_bytes, outcome.cells, outcome.suspects)
    )


def compress(dumped: bytes) -> bytes:
    """A snapshot of what was dumped; takes longest, and needs neither the detection nor the GIL."""
    return _MAGIC + bytes([VERSION]) + zstd.compress(dumped, level=3)


def load(value: bytes, partition: int, parameters: Parameters, outcomes: Mapping[bytes, bytes]) -> Detection:
    """The detection a snapshot was made of.

    Args:
        value: the snapshot.
        partition: number of the partition.
        parameters: of the detection.
        outcomes: records of windows that are over, by :func:`outcome_key`.

    Raises:
        SnapshotError: it is broken, incomplete, of a version this worker cannot read, or of another seed.
    """
    try:
        return _restore(_read(value), partition, parameters, outcomes)
    except SnapshotError as error:
        raise SnapshotError(f"the snapshot of partition {partition} {error}") from error.__cause__
    except KeyError as error:
        raise SnapshotError(
            f"the snapshot of partition {partition} is incomplete: there is no record {error}"
        ) from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise SnapshotError(f"the snapshot of partition {partition} is broken: {error}") from error


def position(value: bytes) -> int | None:
    """Offset that a snapshot says to read on from; None before the first record.

    Raises:
        SnapshotError: it is broken, or of a version this worker cannot read.
    """
    return _read(value).next_offset


def _read(value: bytes) -> _Snapshot:
    if value[:2] != _MAGIC or len(value) < 3:
        raise SnapshotError("is broken: it does not start with CW")
    if value[2] > VERSION:
        raise SnapshotError(
            f"has version {value[2]}, this worker reads up to {VERSION}: run the release that wrote it, "
            "or a newer one"
        )
    try:
        return _decoder.decode(zstd.decompress(value[3:]))
    except (zstd.ZstdError, msgspec.MsgspecError) as error:
        raise SnapshotError(f"is broken: {error}") from error


def _restore(
    snapshot: _Snapshot, partition: int, parameters: Parameters, outcomes: Mapping[bytes, bytes]
) -> Detection:
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
        ruled.until, ruled.sealed, ruled.closed = saved.until, saved.sealed, saved.closed
        ruled.told = Told(saved.told)
        for kept in saved.panes:
            _check(kept.seed, parameters)
            pane = ruled.new_pane(kept.start, parameters.seed, kept.max_suspects)
            pane.clicks = kept.clicks
            pane.sketch.restore(kept.cells, kept.cell_clicks)
            pane.suspects = Suspects(ruled.roster, saved.rule, kept.suspects)
            ruled.panes[pane.start] = pane
        if saved.closed == -math.inf:
            _take_over(ruled)
        detection.rule_windows.append(ruled)
    detection.changes = snapshot.changes
    detection.allowing.number, detection.allowing.changes = snapshot.allow_list, snapshot.allow_lists
    detection.uncounted = snapshot.uncounted
    _restore_clock(detection, snapshot)
    for rule, bounds in snapshot.forgotten.items():
        detection.closed.forgotten[rule] = Spans(bounds)
    for window in snapshot.closed:
        _restore_closed(detection, window, parameters, outcomes)
    return detection


def _take_over(ruled: RuleWindows) -> None:
    """Make panes of what were windows up to version 4, and knew themselves who was told of."""
    if ruled.rule.overlapping and ruled.panes:
        raise SnapshotError(
            f"holds open windows of rule {ruled.rule.name} that overlap and have nothing in common: run the "
            "release that wrote it until they are closed, or begin anew with another CLICKWARDEN_APP_ID"
        )
    for start, pane in ruled.panes.items():
        for user_id, suspect in pane.suspects.all().items():
            if suspect.count_high > ruled.rule.threshold:
                ruled.told.join(start, user_id, start if suspect.incident is None else suspect.incident)
            suspect.incident = None


def _restore_clock(detection: Detection, snapshot: _Snapshot) -> None:
    clock, saved = detection.clock, snapshot.clock
    if saved is None:  # version 1: the newest click was the time
        clock.time = clock.newest = clock.now = snapshot.newest
    else:
        clock.time, clock.newest, clock.received, clock.now = (
            saved.time,
            saved.newest,
            saved.received,
            saved.now,
        )
        clock.moments, clock.live = saved.moments, saved.live
        detection.delays.spans = saved.delays


def _check(seed: _Seed, parameters: Parameters) -> None:
    """Refuse what was counted with another seed: nobody knows whose its cells are."""
    if seed not in (parameters.seed, digest_of(parameters.seed)):
        raise SnapshotError(
            "was counted with another CLICKWARDEN_SEED: set that one again, or begin anew with another "
            "CLICKWARDEN_APP_ID"
        )


def _restore_closed(
    detection: Detection, kept: _ClosedWindow, parameters: Parameters, outcomes: Mapping[bytes, bytes]
) -> None:
    rule = detection.rule_windows[kept.ruled].rule
    outcome = None
    if kept.counted:
        saved = _outcome_decoder.decode(outcomes[outcome_key(WindowName(rule.name, kept.start))])
        _check(saved.seed, parameters)
        outcome = Outcome(parameters.seed, saved.cell_bytes, saved.cells, saved.suspects)
    window = ClosedWindow(kept.start, rule, outcome, kept.closed)
    window.stored = kept.counted
    window.late, window.suspects, window.revisions = kept.late, kept.suspects, kept.revisions
    window.changed, window.due, window.until = dict.fromkeys(kept.changed), kept.due, kept.until
    detection.closed.add(window)
