"""Clicks whose fields each stand under one name at the top of an object: what most records hold."""

from collections.abc import Callable, Collection, Iterable, Mapping
from operator import attrgetter
from typing import Any, Self

import msgspec

from clickwarden.formats.fields import Path, Places
from clickwarden.formats.json import UNREADABLE, is_deep
from clickwarden.formats.scalars import scalar


class FlatClick:
    """A click that a record is; what is asked of a :class:`~clickwarden.formats.records.Held`.

    Args:
        value: the JSON object.
        members: those of it that are the click's fields, as JSON; None for those that are missing.
        further: attributes of the members that are further fields, by the field's name.
    """

    __slots__ = ("_further", "_members", "value")

    fault = None
    ignored = False

    def __init__(self, value: bytes, members: Any, further: Mapping[str, str]) -> None:
        self.value = value
        self._members = members
        self._further = further

    def find(self, field: str) -> Any:
        """A field, by our own name: see :meth:`clickwarden.formats.records.Scope.find`."""
        found = getattr(self._members, self._further.get(field, field))
        return None if found is None else scalar(bytes(found))


class Flat:
    """Reads such clicks.

    Args:
        names: of their fields, by our own names.
        further: names of further fields, by what rules call them.
        envelopes: names by which an object may hold a click, and be none itself.
        unwrapped: those of them by which one that has all fields may be none.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        further: Mapping[str, str],
        envelopes: Iterable[str],
        unwrapped: Collection[str],
    ) -> None:
        self._further = {field: f"further_{number}" for number, field in enumerate(further)}
        others = {f"other_{number}": name for number, name in enumerate(envelopes)}
        members = [(field, msgspec.Raw, None) for field in (*names, *self._further.values(), *others)]
        rename = dict(names) | dict(zip(self._further.values(), further.values(), strict=True)) | others
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(
            msgspec.defstruct("Members", members, rename=rename, gc=False)
        ).decode
        self._others = attrgetter(*others)
        self._unwrapped = attrgetter(*(name for name, written in others.items() if written in unwrapped))

    @classmethod
    def of(
        cls,
        fields: Mapping[str, Places],
        further: Mapping[str, Places],
        envelopes: Collection[str],
        unwrapped: Collection[str],
    ) -> Self | None:
        """For clicks whose fields stand there; None where one may stand elsewhere."""
        names, beside = _single(fields), _single(further)
        known = {*names.values(), *beside.values(), *envelopes}
        wanted = len(fields) + len(further) + len(envelopes)
        return cls(names, beside, envelopes, unwrapped) if len(known) == wanted else None

    def click(self, value: bytes, *, bare: bool) -> FlatClick | None:
        """What a value is, if it is such a click, whatever its fields are; None where it may be no such.

        Args:
            value: of a record.
            bare: whether there is nothing around it in which a field may stand that it lacks.
        """
        if value[:1] != b"{" or is_deep(value):
            return None
        try:
            members = self._decode(value)
        except UNREADABLE:
            return None
        if any(self._unwrapped(members)):
            return None
        needed = (members.user_id, members.event, members.timestamp)
        whole = None not in needed and b"null" not in map(bytes, needed)
        if whole or (bare and not any(self._others(members))):
            return FlatClick(value, members, self._further)
        return None


def _single(fields: Mapping[str, Places]) -> dict[str, str]:
    """The only names, at the top, of those fields that have no other place."""
    return {
        field: places[0].names[0]
        for field, places in fields.items()
        if len(places) == 1 and isinstance(places[0], Path)
    }
