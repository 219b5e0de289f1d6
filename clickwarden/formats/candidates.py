"""Places where a field of a click may stand, with what stands there in each of somebody's records."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from clickwarden.errors import ClickError
from clickwarden.formats import timestamps
from clickwarden.formats.specimens import Specimen, written
from clickwarden.formats.timestamps import seconds

#: Of fewer things values prove little.
HANDFUL = 10
#: Places, and headers, that are looked at: strangers may name as many as they like.
PLACES, HEADERS = 300, 50
#: No click of this century's web is earlier, epoch seconds: a smaller number counts something else.
PLAUSIBLE = 978_307_200


@dataclass
class Candidate:
    """A place where a field of a click may stand.

    Attributes:
        place: as a setting writes it.
        names: that lead there.
        values: what stands there in each thing; None where nothing does.
        is_near: it stands in the thing itself, and not around it.
    """

    place: str
    names: tuple[str, ...]
    values: list[Any]
    is_near: bool = True

    @cached_property
    def present(self) -> list[Any]:
        """The values that are some."""
        return [value for value in self.values if value is not None and value != ""]

    @property
    def share(self) -> float:
        """The part of the things that have one."""
        return len(self.present) / len(self.values)

    @cached_property
    def counted(self) -> Counter[str]:
        """How often each value stands there."""
        return Counter(str(value) for value in self.present)

    @property
    def is_constant(self) -> bool:
        """Whether it is the same everywhere."""
        return len(self.counted) == 1 and len(self.present) >= HANDFUL

    @property
    def is_unique(self) -> bool:
        """Whether it is another nearly everywhere."""
        return len(self.present) >= 3 * HANDFUL and len(self.counted) > 0.95 * len(self.present)


def surroundings_of(specimens: Sequence[Specimen]) -> list[Candidate]:
    """The records' key and headers, as far as they are text."""
    headers = [dict(one.record.headers) for one in specimens]
    found = [Candidate("@key", ("@key",), keys_of(specimens), is_near=False)]
    for name, _ in Counter(name for header in headers for name in header).most_common(HEADERS):
        if written(("header:" + name,)):
            values = [_text(header.get(name)) for header in headers]
            own = name.lower().removeprefix("x-")
            found.append(Candidate(f"@header:{name}", (own,), values, is_near=False))
    return [one for one in found if one.present]


def keys_of(specimens: Sequence[Specimen]) -> list[str | None]:
    """The key of each thing's record as text; None where it is none."""
    return [_text(one.record.key) for one in specimens]


def candidates_of(specimens: Sequence[Specimen]) -> list[Candidate]:
    """The commonest places in which something stands, in or around the things, that a setting can name."""
    paths = Counter(names for one in specimens for layer in one.layers for names in layer)
    places = {names: place for names, _ in paths.most_common(PLACES) if (place := written(names))}
    found: dict[str, Candidate] = {}
    for number, one in enumerate(specimens):
        for layer, values in enumerate(one.layers):
            for names, value in values.items():
                place = places.get(names, "")
                if not place or value is None:
                    continue
                known = found.get(place)
                if known is None:
                    known = Candidate(place, names, [None] * len(specimens), is_near=not layer)
                    found[place] = known
                if known.values[number] in (None, ""):
                    known.values[number] = value
    return list(found.values())


def _text(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def patterns_of(one: Candidate) -> list[str]:
    """How its times may be written, the likeliest first; none where they are written as usual."""
    texts = [str(value).strip() for value in one.present[:200] if not isinstance(value, bool | float)]
    likely = timestamps.patterns_of(texts[0]) if texts else []
    return [pattern for pattern in likely if all(_is_moment(text, pattern) for text in texts)]


def pattern_of(one: Candidate) -> str:
    """How its times are written, if not as usual."""
    return next(iter(patterns_of(one)), "")


def _is_moment(text: str, pattern: str) -> bool:
    with suppress(ClickError):
        return PLAUSIBLE <= seconds(text, pattern) < PLAUSIBLE * 5
    return False


def times_of(one: Candidate, pattern: str) -> list[float | None]:
    """The moments that its values are, epoch seconds; None where one is none."""
    return [_moment(value, pattern) for value in one.values]


def _moment(value: Any, pattern: str) -> float | None:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ClickError):
            return seconds(str(value) if pattern and isinstance(value, int) else value, pattern)
    return None


def share_of_equal(values: Sequence[Any], keys: Sequence[str | None]) -> float:
    """The part of the values that are the keys of their records; none where there are hardly any."""
    pairs = [(str(value), key) for value, key in zip(values, keys, strict=True) if key and value is not None]
    return sum(value == key.strip('"') for value, key in pairs) / len(pairs) if len(pairs) > 4 else 0.0


def is_same(one: Candidate, other: Candidate) -> bool:
    """Whether the two tell the same users apart."""
    pairs = {(str(a), str(b)) for a, b in zip(one.values, other.values, strict=True) if a is not None}
    return len(pairs) == len(one.counted) == len(other.counted) and not one.is_unique
