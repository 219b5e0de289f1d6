"""The type that paths into an object of JSON make, and what then stands at their ends."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, repeat
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from clickwarden.errors import ClickError
from clickwarden.formats.fields import Header, Key, Path, Record, Stamp, is_place

#: How many clicks each record holds, int64[records]; None where each holds one.
Sizes = NDArray[np.int64] | None
#: What stands in a place, of clicks and their records.
Column = Callable[[Sequence[Any], Sequence[Record], Sizes], list[Any]]
_Surrounding = Key | Header | Stamp


class Leaf(NamedTuple):
    """The end of a path: the type of what stands there."""

    type: Any
    needed: bool


#: Ends at which nothing may stand, and anything.
NOTHING, ANYTHING = Leaf(None, needed=False), Leaf(Any, needed=False)


def around(place: _Surrounding, record: Record) -> Any:
    """What surrounds a record's value.

    Raises:
        ClickError: it is no text.
    """
    return place.of(record)


def text_around(place: _Surrounding, record: Record) -> Any:
    """The same; a list of nothing where it is no text."""
    try:
        return place.of(record)
    except ClickError:
        return []


class Tree:
    """Paths from the top of an object, and what its type is by them."""

    def __init__(self) -> None:
        self._top: dict[str, Any] = {}

    @property
    def type(self) -> Any:
        """With an attribute for each name, in their order."""
        return _struct(self._top)

    def grow(self, names: tuple[str, ...], leaf: Leaf) -> None:
        """Add a path.

        Raises:
            ValueError: there is no type that has it, too.
        """
        *way, end = names
        tree = self._top
        for name in way:
            tree = tree.setdefault(name, {})
            if isinstance(tree, Leaf):
                raise ValueError("a path leads through another's end")
        if tree.setdefault(end, leaf) != leaf:
            raise ValueError("another path ends or leads through there")

    def grow_beside(self, names: tuple[str, ...], leaf: Leaf) -> None:
        """Add a path that may be there already, with a type that changes nothing of what is read.

        Raises:
            ValueError: as :meth:`grow`, or the type does: a time is not read as it is written.
        """
        known: Any = self._top
        for name in names:
            known = known.get(name, {}) if isinstance(known, dict) else {}
        if not isinstance(known, Leaf):
            self.grow(names, leaf)
        elif known.type is float:
            raise ValueError("a number is read as a time there")

    def column(self, place: Path | _Surrounding, read: Callable[[Any, Record], Any] = around) -> Column:
        """What stands in a place; ``read`` takes it from around the value."""
        if not isinstance(place, Path):
            return lambda _, records, sizes: _repeated([read(place, record) for record in records], sizes)
        tree: Any = self._top
        step, missing, at = "row", [], ""
        for depth, name in enumerate(place.names):
            if at:
                missing.append(f"len({step}) <= {at}")
                step = f"{step}[{at}]"
            else:
                step = f"{step}.field_{list(tree).index(name)}"
            tree = tree[name]
            at = str(int(next(iter(tree)))) if _is_list(tree) else ""
            if not isinstance(tree, Leaf) and not _is_needed(tree):
                missing.append(f"(object_{depth} := {step}) is None")
                step = f"object_{depth}"
        value = step
        if missing:
            value = f"None if {' or '.join(missing)} else {value}"
        # As a named tuple makes its own, of names that are ours: no other way takes as little time.
        found: Column = eval(f"lambda rows, records, sizes: [{value} for row in rows]")
        return found


def first_of(
    columns: Sequence[Column], rows: Sequence[Any], records: Sequence[Record], sizes: Sizes
) -> list[Any]:
    """What stands in the first of several places that hold something."""
    first, *others = columns
    found = first(rows, records, sizes)
    for other in others:
        if None not in found and "" not in found:
            return found
        pairs = zip(found, other(rows, records, sizes), strict=True)
        found = [new if old is None or (old == "" and new is not None) else old for old, new in pairs]
    return found


def _repeated(values: list[Any], sizes: Sizes) -> list[Any]:
    return values if sizes is None else list(chain.from_iterable(map(repeat, values, sizes.tolist())))


def _struct(tree: Mapping[str, Any]) -> Any:
    """A type with an attribute for each name, in their order."""
    needed: list[tuple[str, Any]] = []
    others: list[tuple[str, Any, None]] = []
    rename = {}
    for number, (name, below) in enumerate(tree.items()):
        attribute = f"field_{number}"
        rename[attribute] = name
        kind = _type(below)
        if _is_needed(below):
            needed.append((attribute, kind))
        else:
            others.append((attribute, None if kind is None else kind | None, None))
    return msgspec.defstruct("Members", [*needed, *others], rename=rename, gc=False)


def _type(below: Any) -> Any:
    if isinstance(below, Leaf):
        return below.type
    if _is_list(below):
        (element,) = below.values()
        return list[_type(element) | None]  # type: ignore[misc]
    return _struct(below)


def _is_list(below: Any) -> bool:
    """Whether a path leads to a place in a list; to several, and there is no shape."""
    places = [] if isinstance(below, Leaf) else [name for name in below if is_place(name)]
    if places and len(below) > 1:
        raise ValueError("paths lead to several places of a list")
    return bool(places)


def _is_needed(below: Any) -> bool:
    return below.needed if isinstance(below, Leaf) else any(map(_is_needed, below.values()))
