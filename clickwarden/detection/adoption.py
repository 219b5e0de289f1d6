"""Which rules a partition of the clicks topic is counted by, from which of its offsets on."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule, by_name

#: Changes of rules that are told of a partition; of older ones its clicks are long gone.
KEPT = 1000


class Adoption(NamedTuple):
    """From this offset of the partition on, these rules are in force, each from its next window on."""

    offset: int
    rules: tuple[Rule, ...]


class _Adoptions(msgspec.Struct, array_like=True):
    """Each rule once; and of each offset, the places of its rules among them."""

    rules: list[Rule]
    since: list[tuple[int, list[int]]]


def adoptions_of(detection: Detection, known: Sequence[Adoption]) -> list[Adoption]:
    """All adoptions of a partition, in their order.

    What was planned behind the position of a state, and is not in it, was
    planned by a worker that had died before it was durable, or was taken for
    dead: nothing was counted by it.

    Args:
        detection: the partition as it is.
        known: what was told of it before, by whoever owned it.
    """
    planned = [Adoption(offset, rules) for offset, rules in detection.changes]
    position = min([detection.next_offset or 0, *(adoption.offset for adoption in planned)])
    adopted = [adoption for adoption in known if adoption.offset < position]
    if not adopted or by_name(adopted[-1].rules) != by_name(detection.rules):
        adopted.append(Adoption(position, detection.rules))
    return (adopted + planned)[-KEPT:]


def dump(adoptions: Sequence[Adoption]) -> bytes:
    """What is told of a partition, as JSON."""
    places: dict[Rule, int] = {}
    since = [
        (offset, [places.setdefault(rule, len(places)) for rule in rules]) for offset, rules in adoptions
    ]
    return msgspec.json.encode(_Adoptions(list(places), since))


def load(value: bytes) -> list[Adoption]:
    """What was told of a partition, at least one.

    Raises:
        msgspec.MsgspecError: by a newer release, with rules that this one does not know; or by nobody of us.
    """
    try:
        told = msgspec.json.decode(value, type=_Adoptions)
        found = [
            Adoption(offset, tuple(told.rules[place] for place in places)) for offset, places in told.since
        ]
    except (UnicodeError, RecursionError, IndexError) as error:
        raise msgspec.ValidationError(f"{error}") from None
    if not found:
        raise msgspec.ValidationError("no rules are told of")
    return found


class AdoptionRows:
    """What the owners of each partition told of it; the newest owner is right."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[str, bytes]] = {}

    def take(self, partition: int, owner: str, value: bytes | None) -> None:
        """A record of the topic; without a value, the owner's is gone."""
        rows = self._rows.setdefault(partition, {})
        if value is None:
            rows.pop(owner, None)
        else:
            rows[owner] = value

    @property
    def last(self) -> Mapping[int, Adoption | None]:
        """The last adoption of each partition, by its newest owner; None where a newer release tells it."""
        newest = {number: rows[max(rows)] for number, rows in sorted(self._rows.items()) if rows}
        return {number: _last(row) for number, row in newest.items()}

    @property
    def told(self) -> dict[int, list[Adoption]]:
        """All adoptions of each partition, by its newest owner.

        Raises:
            msgspec.MsgspecError: a newer release tells one.
        """
        return {number: load(rows[max(rows)]) for number, rows in sorted(self._rows.items()) if rows}

    def older(self, partition: int, owner: str) -> dict[str, bytes]:
        """What owners before this one told of a partition."""
        return {name: row for name, row in self._rows.get(partition, {}).items() if name < owner}


def _last(row: bytes) -> Adoption | None:
    try:
        return load(row)[-1]
    except msgspec.MsgspecError:
        return None
