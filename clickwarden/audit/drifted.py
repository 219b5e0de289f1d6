"""On which days a partition of a pipeline must have been told to drift, counted value by value."""

import math
import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

DAY = 86_400_000
#: A day is judged of which so much was seen, milliseconds.
LEAST = 20 * 3_600_000
#: From this index on a feature has drifted, but for chance; what chance adds, by the number of records.
INDEX, BY_CHANCE = 0.1, 40
#: Keys are told apart by the remainder of their CRC-32.
REMAINDERS = 1024
#: Indices are told in steps of .0001; what another order of sums makes of one is less than two of them.
NEAR = 0.0002
#: Features that are told.
MOST = 10


class Learnt(Protocol):
    """A model, as far as it is asked here."""

    @property
    def share(self) -> float | None:
        """Of the records that are to be alarmed, where it is from a budget."""

    @property
    def bins(self) -> Sequence[tuple[Sequence[float], Sequence[int]]]:
        """Of each feature: upper ends of bins; and how many values were in each, beyond all, and missing."""


class DriftExpected(NamedTuple):
    """A day that must be told: its id, its incident, indices of all features, and what else is said."""

    name: str
    incident: str
    indices: Mapping[str, tuple[float, float]]
    limit: float
    content: Mapping[str, Any]

    @property
    def farthest(self) -> float:
        """The greatest index of all."""
        return max(map(max, self.indices.values()))


class Days:
    """Counts one partition.

    Args:
        pipeline: its name.
        partition: its number.
        columns: names of the features.
        longest: of its windows, milliseconds.
    """

    def __init__(self, pipeline: str, partition: int, columns: Sequence[str], longest: int) -> None:
        self._pipeline = pipeline
        self._partition = partition
        self._columns = columns
        self._longest = longest
        self._begun: int | None = None
        self._run: tuple[int, int] | None = None
        self._version = ""
        self._begin(0)

    def _begin(self, day: int) -> None:
        self._day = day
        self._records = self._alarms = 0
        self._span: tuple[int, int] | None = None
        self._bins: list[Counter[int]] = [Counter() for _ in self._columns]
        self._keys: Counter[int] = Counter()

    def add(
        self, version: str, model: Learnt, event: int | None, key: str, values: Sequence[float], alarmed: bool
    ) -> DriftExpected | None:
        """Count a record that a champion has scored; what must be told of the day before, if that is over.

        Args:
            version: of the champion.
            model: the champion.
            event: event time behind the record, epoch milliseconds; None before that is known.
            key: of the record.
            values: its features; NaN where missing.
            alarmed: whether it is.
        """
        if version != self._version:
            self._version, self._run = version, None
            self._begin(0)
        if event is None:
            return None
        if self._begun is None:
            self._begun = event
        found = None
        if event // DAY != self._day:
            found = self._judge(model) if self._span else None
            self._begin(event // DAY)
        self._records += 1
        self._alarms += alarmed
        self._span = (self._span or (event, event))[0], event
        self._keys[zlib.crc32(key.encode("utf-8", "surrogatepass")) % REMAINDERS] += 1
        for counter, (ends, _), value in zip(self._bins, model.bins, values, strict=True):
            counter[-1 if math.isnan(value) else bisect_left(ends, value)] += 1
        return found

    def _judge(self, model: Learnt) -> DriftExpected | None:
        first, last = self._span or (0, 0)
        if last - first < LEAST or self._day * DAY < (self._begun or 0) + self._longest:
            return None
        worth = self._records**2 / sum(count * count for count in self._keys.values())
        learnt = sum(model.bins[0][1]) if model.bins else 1
        limit = INDEX + BY_CHANCE / worth + BY_CHANCE / max(learnt, 1)
        indices, unseen = {}, 0.0
        for name, counter, (_, counts) in zip(self._columns, self._bins, model.bins, strict=True):
            seen = [counter[place] for place in range(len(counts) - 1)]
            if name.endswith("=(other)"):
                unseen = max(unseen, sum(seen[2:]) / self._records)
            here, gone = sum(seen), counter[-1]
            if name.endswith(("tod_sin", "tod_cos")):
                indices[name] = 0.0, 0.0
            else:
                there = sum(counts[:-1])
                indices[name] = _index(counts[:-1], seen), _index([there, counts[-1]], [here, gone])
        if all(round(max(each), 4) <= round(limit, 4) for each in indices.values()):
            return None
        run = self._run
        begin = run[0] if run is not None and run[1] >= self._day - 1 else self._day
        self._run = begin, self._day
        budget = None if model.share is None else round(model.share * self._records, 1)
        content = {
            "day": _date(self._day),
            "records": self._records,
            "alarms": self._alarms,
            "budget": budget,
            "worth": round(worth, 1),
            "unseen": round(unseen, 4),
            "version": self._version,
        }
        return DriftExpected(
            _id(self._pipeline, self._partition, _date(self._day)),
            _id(self._pipeline, self._version, _date(begin)),
            indices,
            limit,
            content,
        )


def wrong(
    anomaly: Mapping[str, Any], drift: Mapping[str, Any], expected: DriftExpected, key: bytes | None
) -> str:
    """What of a day that was told is not as it must be; empty where all is."""
    rule = f"pipeline/{drift['pipeline']}"
    start = datetime.fromisoformat(str(drift["day"])).replace(tzinfo=UTC)
    begin, end = (datetime.fromisoformat(str(anomaly[name])) for name in ("window_start", "window_end"))
    said = [
        *((name, value, drift.get(name)) for name, value in expected.content.items()),
        ("alert_id", expected.name, anomaly.get("alert_id")),
        ("key", expected.name.encode(), key),
        ("incident_id", expected.incident, anomaly.get("incident_id")),
        ("rule", f"{rule}/drift", anomaly.get("rule")),
        ("user_id", rule, anomaly.get("user_id")),
        ("category", "drift", anomaly.get("category")),
        ("status", "closed", anomaly.get("status")),
        ("shadow", False, anomaly.get("shadow")),
        ("window", (start, 86_400.0), (begin, (end - begin).total_seconds())),
    ]
    for name, value, found in said:
        if found != value:
            return f"expected {name} {value!r}, found {found!r}"
    if abs(drift["limit"] - expected.limit) > NEAR:
        return f"expected limit {expected.limit}, found {drift['limit']}"
    far = {name: max(each) for name, each in expected.indices.items() if max(each) > expected.limit + NEAR}
    told = {each["feature"]: (each["shift"], each["missing"]) for each in drift["features"]}
    if missing := sorted(far.keys() - told.keys()) if len(told) < MOST else []:
        return f"expected {missing[0]} among what has drifted"
    for name, indices in told.items():
        found = expected.indices.get(name)
        if found is None or max(found) < expected.limit - NEAR:
            return f"{name} has not drifted"
        if any(abs(one - other) > NEAR for one, other in zip(indices, found, strict=True)):
            return f"expected indices {found} of {name}, found {indices}"
    return ""


def _index(usual: Sequence[int], now: Sequence[int]) -> float:
    """The population stability index, with half a record more in each bin."""
    if not sum(usual) or not sum(now):
        return 0.0
    size, total = sum(usual) + len(usual) / 2, sum(now) + len(now) / 2
    shares = [((there + 0.5) / size, (here + 0.5) / total) for there, here in zip(usual, now, strict=True)]
    return math.fsum((here - there) * math.log(here / there) for there, here in shares)


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


def _id(pipeline: str, where: int | str, day: str) -> str:
    return blake2b(f"{pipeline}/drift\0{where}\0{day}".encode(), digest_size=16).hexdigest()
