"""The features of a log, record by record: what they mean, in code of its own."""

import json
import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import xxhash

#: Half a surrogate pair, which is no text.
_HALF = re.compile("[\ud800-\udfff]")
TAKEN, LATE, KEYLESS, TIMELESS, UNREADABLE = ("taken", "late", "keyless", "timeless", "unreadable")

_LONGEST_TEXT = 256
_MOST_STEPS = 2**31 - 1
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LARGEST_FLOAT = float.fromhex("0x1.fffffep+127")


class Judged(NamedTuple):
    """A record's features.

    Attributes:
        fate: TAKEN, or why it was set aside.
        values: of the columns, as float32 would hold them; NaN each where it was set aside.
    """

    fate: str
    values: list[float]


class _Past(NamedTuple):
    """An earlier record of a key, and what it had."""

    moment: int
    numbers: Mapping[str, int | None]
    texts: Mapping[str, int | None]


class FeatureReference:
    """Says what the features of each record of a partition are, one by one.

    Attributes:
        held: what the last record holds.
        key: of the last record that was taken.
        moment: when that happened, and no later than when Kafka had it, epoch milliseconds.
        event: event time behind the last record, epoch milliseconds; None where it is not known.
    """

    def __init__(self, definition: Mapping[str, Any]) -> None:
        """Begin with no record, by a pipeline's definition as plain data."""
        self.held: Mapping[str, Any] = {}
        self.key, self.moment = "", 0
        self._features: Sequence[Mapping[str, Any]] = definition["features"]
        self._fields: Mapping[str, Mapping[str, Any]] = definition["fields"]
        self._key, self._time = definition["key"], definition["time"]
        self._lateness, self._keep = definition["lateness"], definition["keep"]
        self._past: dict[str, list[_Past]] = {}
        self._moments: list[int] = []
        self._now: int | None = None
        self.event: int | None = None

    def judge(self, record: Mapping[str, Any] | bytes | None, received: float | None = None) -> Judged:
        """The next record of the log; ``received`` is when Kafka had it, epoch seconds."""
        self.event = None
        held = _object(record) if isinstance(record, bytes) else record
        fate, key, moment = self._placed(held, received)
        if fate != TAKEN:
            return Judged(fate, [math.nan] * sum(self._width(feature) for feature in self._features))
        assert held is not None  # or it were unreadable
        self.held, self.key, self.moment = held, key or "", moment or 0
        past: list[_Past] = []
        if key is not None and moment is not None:
            past = self._past.setdefault(key, [])
            moment = max(moment, past[-1].moment) if past else moment
        new = _Past(
            moment or 0,
            {
                name: self._steps(held, name)
                for name, field in self._fields.items()
                if field["step"] is not None
            },
            {
                name: _hash(text_of(held.get(name)))
                for name, field in self._fields.items()
                if field["type"] == "text"
            },
        )
        values = [value for feature in self._features for value in self._of(feature, held, new, past)]
        if self._keep:
            past.append(new)
            self._trim(past)
        return Judged(TAKEN, [_single(value) for value in values])

    def _placed(
        self, record: Mapping[str, Any] | None, received: float | None
    ) -> tuple[str, str | None, int | None]:
        """What becomes of a record, its key, and when it happened."""
        if record is None:
            return UNREADABLE, None, None
        if not self._key:
            return TAKEN, None, None
        raw = record.get(self._key)
        key = None if isinstance(raw, str) and len(raw) > _LONGEST_TEXT else text_of(raw)
        if key is None:
            return KEYLESS, None, None
        moment = _moment(record.get(self._time))
        if moment is None:
            return TIMELESS, key, None
        if received is not None and (came := _milliseconds(received)) is not None:
            moment = min(moment, came)
        self._moments = [*self._moments, moment][-20:]
        if len(self._moments) >= 5:
            agreed = sorted(self._moments)[-5]
            self._now = agreed if self._now is None else max(self._now, agreed)
        self.event = self._now
        late = self._now is not None and moment < self._now - self._lateness
        return (LATE if late else TAKEN), key, moment

    def _trim(self, past: list[_Past]) -> None:
        """Forget what no later record of the key can see, by ``keep`` or by a window of buckets."""
        reach = max(
            (
                feature["bucket"] + max(feature["windows"])
                for feature in self._features
                if feature.get("bucket")
            ),
            default=0,
        )
        while len(past) > self._keep and past[0].moment <= past[-1].moment - reach:
            del past[0]

    def _width(self, feature: Mapping[str, Any]) -> int:
        match feature["kind"]:
            case "one_hot":
                return len(feature["vocabulary"]) + 1
            case "hash":
                return int(feature["columns"])
            case "time_of_day":
                return 2
            case "rolling":
                return len(feature["windows"]) * len(feature["stats"])
        return 1

    def _of(
        self, feature: Mapping[str, Any], record: Mapping[str, Any], new: _Past, past: Sequence[_Past]
    ) -> Iterator[float]:
        kind, name = feature["kind"], feature["field"]
        value = record.get(name) if name else None
        if kind == "raw":
            yield self._number(name, value)
        elif kind == "log1p":
            number = self._number(name, value)
            yield math.copysign(_log1p(abs(number)), number)
        elif kind == "one_hot":
            word = text_of(value)
            yield from (float(word == each) for each in feature["vocabulary"])
            yield float(word is not None and word not in feature["vocabulary"])
        elif kind == "hash":
            mark = new.texts[name]
            for column in range(feature["columns"]):
                yield float(mark is not None and mark % feature["columns"] == column)
        elif kind == "time_of_day":
            moment = _moment(value if name else record.get(self._time))
            yield from _clock(moment)
        elif kind == "rolling":
            for window in feature["windows"]:
                inside = self._inside(window, feature["bucket"], new, past)
                yield from (self._stat(stat, name, new, inside) for stat in feature["stats"])
        else:
            inside = self._inside(feature["within"], None, new, past)
            yield (new.moment - inside[-1].moment if inside else feature["within"]) / 1000

    def _inside(self, window: int, bucket: int | None, new: _Past, past: Sequence[_Past]) -> Sequence[_Past]:
        """Those before it in its window: (its moment - window, its moment], or the buckets to its own."""
        if bucket:
            first = new.moment // bucket - window // bucket + 1
            return [each for each in past if each.moment // bucket >= first]
        return [each for each in past[-self._keep :] if each.moment > new.moment - window]

    def _stat(self, stat: str, name: str, new: _Past, inside: Sequence[_Past]) -> float:
        if not name:
            return float(len(inside))
        if self._fields[name]["type"] == "text":
            marks = [mark for each in inside if (mark := each.texts[name]) is not None]
            if stat == "count":
                return float(len(marks))
            if stat == "distinct":
                return float(len(set(marks)))
            return math.nan if new.texts[name] is None else float(new.texts[name] in marks)
        steps = [number for each in inside if (number := each.numbers[name]) is not None]
        step, own = self._fields[name]["step"], new.numbers[name]
        mean = float(sum(steps)) / len(steps) if steps else 0.0
        if stat == "count":
            return float(len(steps))
        if stat == "sum":
            return float(sum(steps)) * step  # type: ignore[no-any-return]
        if stat == "mean":
            return mean * step  # type: ignore[no-any-return]
        if stat == "std":
            squares = float(sum(number * number for number in steps)) / len(steps) if steps else 0.0
            return math.sqrt(max(squares - mean * mean, 0.0)) * step  # type: ignore[no-any-return]
        if own is None:
            return math.nan
        return own / mean if sum(steps) else 1.0

    def _number(self, name: str, value: Any) -> float:
        if self._fields[name]["type"] == "bool":
            return _bool(value)
        number = _number(value)
        if self._fields[name]["type"] == "integer" and not math.isnan(number):
            return math.copysign(float(round(number)), number)
        return number

    def _steps(self, record: Mapping[str, Any], name: str) -> int | None:
        number, step = self._number(name, record.get(name)), self._fields[name]["step"]
        if math.isnan(number):
            return None
        most = _MOST_STEPS * step
        steps: int = round(min(max(number, -most), most) / step)
        return steps


def longest(definition: Mapping[str, Any]) -> int:
    """Milliseconds of the longest look back of a definition's features."""
    spans = [
        span
        for feature in definition["features"]
        for span in (feature.get("windows") or (feature.get("within"),))
    ]
    return max((span for span in spans if span), default=0)


def _object(value: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(value.decode(errors="replace"), strict=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    held = found.items()
    return {name: _HALF.sub("\ufffd", said) if isinstance(said, str) else said for name, said in held}


def _number(value: Any) -> float:
    if isinstance(value, str):
        sign, digits = r"[-+]?", r"[0-9]"
        shape = rf"\s*{sign}(?:{digits}+\.?{digits}*|\.{digits}+)(?:[eE]{sign}{digits}+)?\s*"
        if len(value) > _LONGEST_TEXT or re.fullmatch(shape, value, re.ASCII) is None:
            return math.nan
    elif type(value) not in (bool, int, float):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return math.nan if math.isinf(number) else number


def _bool(value: Any) -> float:
    if isinstance(value, str):
        said = value.strip().lower()
        if len(value) <= _LONGEST_TEXT and said in ("true", "1"):
            return 1.0
        return 0.0 if len(value) <= _LONGEST_TEXT and said in ("false", "0") else math.nan
    if type(value) in (bool, int, float) and (value == 0 or value == 1):
        return 1.0 if value else 0.0
    return math.nan


def text_of(value: Any) -> str | None:
    """A value as text; None where it is none, or empty."""
    if value is True or value is False:
        return str(value).lower()
    if type(value) is str:
        return value[:_LONGEST_TEXT] if value else None
    if type(value) is int:
        return f"{value:d}" if -(1 << 63) <= value <= (1 << 64) - 1 else None
    if type(value) is float and math.isfinite(value):
        whole = value == math.floor(value) and abs(value) < 1 << 53
        return f"{math.floor(value):d}" if whole else repr(value)
    return None


def _hash(text: str | None) -> int | None:
    if text is None:
        return None
    whole = int.from_bytes(xxhash.xxh3_64_digest(text.encode("utf-8", "surrogatepass")), "big")
    return whole % 2**32 or 1


def _moment(value: Any) -> int | None:
    """Epoch milliseconds."""
    if isinstance(value, bool):
        return None
    number = _number(value)
    if not math.isnan(number):
        for unit, least in ((1e9, 1e17), (1e6, 1e14), (1e3, 1e11)):
            if number >= least:
                return _milliseconds(number / unit)
        return _milliseconds(number)
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        return _milliseconds((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def _milliseconds(seconds: float) -> int | None:
    if not math.isfinite(seconds * 1000):
        return None
    found = round(seconds * 1000)
    first, last = ((each - _EPOCH) // _MILLISECOND for each in (_FIRST, _LAST))
    return found if first <= found <= last else None


def _clock(moment: int | None) -> tuple[float, float]:
    if moment is None:
        return math.nan, math.nan
    turn = math.tau * (moment // 60_000 % 1440) / 1440
    return math.sin(turn), math.cos(turn)


def _log1p(size: float) -> float:
    """The logarithm of 1 + size, by a series of which each step is rounded as IEEE 754 has it."""
    if math.isnan(size):
        return size
    whole = 1.0 + size
    if whole == 1.0:
        return size
    mantissa, exponent = math.frexp(whole)
    if mantissa < math.sqrt(0.5):
        mantissa, exponent = mantissa * 2.0, exponent - 1
    part = (mantissa - 1.0) / (mantissa + 1.0)
    series = 0.0
    for odd in range(25, 0, -2):
        series = series * (part * part) + 1.0 / odd
    logarithm = exponent * 0.693147180369123816490 + (
        2.0 * part * series + exponent * 1.90821492927058770002e-10
    )
    return logarithm * (size / (whole - 1.0)) if size < 1.0 else logarithm


def _single(value: float) -> float:
    """What float32 makes of a value."""
    single: float
    (single,) = struct.unpack("<f", struct.pack("<f", min(max(value, -_LARGEST_FLOAT), _LARGEST_FLOAT)))
    return value if math.isnan(value) else single
