"""The kinds of features that a ``[[feature]]`` may be, and the columns that each makes."""

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

Kind = Literal["raw", "log1p", "one_hot", "hash", "time_of_day", "rolling", "since_last"]
Stat = Literal["count", "sum", "mean", "std", "ratio", "distinct", "seen"]

#: Statistics of numbers, and of values that are the same or not.
NUMERIC: tuple[Stat, ...] = ("sum", "mean", "std", "ratio")
DIFFERENT: tuple[Stat, ...] = ("distinct", "seen")
#: The column of a one-hot feature for what is not in its vocabulary.
OTHER = "(other)"
#: The kinds that look at what the key did before, and so need key and time.
OF_KEYS: tuple[Kind, ...] = ("rolling", "since_last")
#: Columns that a vocabulary or a hash may make.
COLUMNS_MAX = 1024
#: The longest window, and the longest lateness.
SPAN_MAX = 366 * 86_400_000

_SPAN = re.compile(r"([1-9]\d{0,8})(ms|s|m|h|d)", re.ASCII)
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
#: What each kind takes beside ``kind``; what it needs, and what it may have.
_TAKES: dict[Kind, tuple[frozenset[str], frozenset[str]]] = {
    "raw": (frozenset({"field"}), frozenset()),
    "log1p": (frozenset({"field"}), frozenset()),
    "one_hot": (frozenset({"field", "vocabulary"}), frozenset()),
    "hash": (frozenset({"field", "columns"}), frozenset()),
    "time_of_day": (frozenset(), frozenset({"field"})),
    "rolling": (frozenset({"windows", "stats"}), frozenset({"field", "bucket"})),
    "since_last": (frozenset(), frozenset({"within"})),
}
#: The window of since-last where none is named.
WITHIN = "24h"


def span(written: str) -> int:
    """Milliseconds of a span of time.

    >>> span("90s"), span("24h")
    (90000, 86400000)

    Raises:
        ValueError: it is none, or longer than a year.
    """
    found = _SPAN.fullmatch(written)
    if not found or (length := int(found[1]) * _UNITS[found[2]]) > SPAN_MAX:
        raise ValueError(f"{written!r} is no span of time up to 366d; write it like 90s, 10m, 24h or 7d")
    return length


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A feature of a pipeline: some columns of what a model sees.

    Attributes:
        kind: what is made.
        field: of which field; empty where it is of the record as a whole.
        vocabulary: of one_hot: a column each, and one for all others.
        columns: of hash: how many.
        windows: of rolling: how far back, each as ``24h``.
        stats: of rolling: what of each window.
        bucket: of rolling: the step by which its windows move, so that a key needs a place for each of them
            and not for each record; empty for windows that are exact.
        within: of since_last: how far back it looks.
    """

    kind: Kind
    field: str = ""
    vocabulary: tuple[str, ...] = ()
    columns: int = 0
    windows: tuple[str, ...] = ()
    stats: tuple[Stat, ...] = ()
    bucket: str = ""
    within: str = ""

    def __post_init__(self) -> None:
        """Check what can be checked without its fields.

        Raises:
            ValueError: something is missing, too much, or wrong; begins with the name of it.
        """
        needed, may = _TAKES[self.kind]
        for name in self.__struct_fields__[1:]:
            if getattr(self, name) and name not in needed | may:
                raise ValueError(f"{name}: is nothing that kind {self.kind!r} takes; take it out")
            if not getattr(self, name) and name in needed:
                raise ValueError(f"{name}: is missing, and kind {self.kind!r} needs it; add it")
        for name in ("vocabulary", "windows", "stats"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name}: names something twice; take it out once")
        if OTHER in self.vocabulary or "" in self.vocabulary:
            raise ValueError(f"vocabulary: {OTHER!r} and empty text cannot be words of it; take them out")
        if len(self.vocabulary) > COLUMNS_MAX:
            raise ValueError(
                f"vocabulary: has {len(self.vocabulary):,} words, more than {COLUMNS_MAX:,}; use a hash"
            )
        if self.kind == "hash" and not 2 <= self.columns <= COLUMNS_MAX:
            raise ValueError(f"columns: {self.columns} is not 2 to {COLUMNS_MAX:,}; choose another number")
        self._check_windows()

    def _check_windows(self) -> None:
        for name, written in (
            ("windows", self.windows),
            ("bucket", (self.bucket,)),
            ("within", (self.within,)),
        ):
            for each in filter(None, written):
                try:
                    span(each)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
        if self.kind != "rolling":
            return
        if not self.field and self.stats != ("count",):
            raise ValueError("field: is missing; only a count is of the record as a whole; add it")
        if not self.bucket:
            return
        for stat in set(self.stats) & set(DIFFERENT):
            raise ValueError(
                f"bucket: {stat!r} looks at single records; make it a feature of its own, without bucket"
            )
        for window in self.windows:
            if span(window) % span(self.bucket):
                raise ValueError(f"bucket: {window} is no multiple of {self.bucket}; choose one that fits")

    @property
    def names(self) -> Iterator[str]:
        """Its columns, in their order."""
        match self.kind:
            case "raw":
                yield self.field
            case "log1p":
                yield f"log1p({self.field})"
            case "one_hot":
                yield from (f"{self.field}={word}" for word in (*self.vocabulary, OTHER))
            case "hash":
                yield from (f"{self.field}#{number}" for number in range(self.columns))
            case "time_of_day":
                prefix = f"{self.field}." if self.field else ""
                yield from (f"{prefix}tod_sin", f"{prefix}tod_cos")
            case "rolling":
                prefix = f"{self.field}." if self.field else ""
                steps = f"/{self.bucket}" if self.bucket else ""
                yield from (
                    f"{prefix}{stat}.{window}{steps}" for window in self.windows for stat in self.stats
                )
            case "since_last":
                yield "since_last" if not self.within else f"since_last.{self.within}"
