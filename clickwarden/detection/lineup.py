"""Which models score the records of a pipeline, and since which offset of a partition."""

import re
from collections.abc import Sequence

import msgspec

#: Changes of models that are told of a partition; of older ones its records are long gone.
KEPT = 1000
#: The detector that learns while it scores, where no model was trained.
ONLINE = "online"
_LEARNING = re.compile(ONLINE + r"(?:-([0-9.e+-]+))?")


class Lineup(msgspec.Struct, frozen=True, array_like=True):
    """The models that score the records of a pipeline, by their versions.

    Attributes:
        champion: whose alarms are told; empty where there is none.
        challengers: that score beside it, and tell nobody.
    """

    champion: str = ""
    challengers: tuple[str, ...] = ()

    @property
    def versions(self) -> tuple[str, ...]:
        """All of them, the champion first."""
        return (*filter(None, [self.champion]), *self.challengers)

    @property
    def learns(self) -> bool:
        """Whether the champion learns while it scores."""
        return _LEARNING.fullmatch(self.champion) is not None

    @property
    def budget(self) -> float | None:
        """Alarms a day that a champion which learns has in each partition; None where nobody said."""
        found = _LEARNING.fullmatch(self.champion)
        return float(found[1]) if found and found[1] else None

    @property
    def trained(self) -> tuple[str, ...]:
        """Versions of those that were trained, the champion first."""
        return self.challengers if self.learns else self.versions

    def meets(self, wanted: "Lineup") -> bool:
        """Whether these are the ones that somebody wants; who wants no champion takes one that learns."""
        return self == wanted or (not wanted.champion and wanted == Lineup("", self.trained))


class Appointment(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a pipeline's models.

    Attributes:
        number: of the change, from 1; of two with one number the first holds.
        lineup: from then on.
        what: was done, in words.
        who: did it.
        when: ISO-8601 UTC.
        why: in the words of who did it.
    """

    number: int
    lineup: Lineup
    what: str
    who: str
    when: str
    why: str = ""


class Since(msgspec.Struct, frozen=True, array_like=True):
    """From this offset of a partition on, these models score it."""

    offset: int
    lineup: Lineup


def told(known: Sequence[Since], position: int, current: Lineup, planned: Sequence[Since]) -> list[Since]:
    """All that is to be told of a partition.

    What was told of offsets behind the position of a state, and is not in it, was planned by a worker that
    had died before it was durable, or was taken for dead: nothing was scored by it.

    Args:
        known: what was told of it before, by whoever owned it.
        position: of the state.
        current: the models there.
        planned: those from later offsets on.
    """
    position = min([position, *(since.offset for since in planned)])
    adopted = [since for since in known if since.offset < position]
    if not adopted or adopted[-1].lineup != current:
        adopted.append(Since(position, current))
    return [*adopted, *planned][-KEPT:]


def learning(lineup: Lineup, budget: float | None, partitions: int) -> Lineup:
    """With a champion that learns while it scores.

    All that it depends on, but for the records, is in its version: alarms a day in each partition.

    Args:
        lineup: of no champion.
        budget: alarms a day in all partitions; None where nobody said.
        partitions: how many there are.

    >>> learning(Lineup("", ("a",)), 50, 4), learning(Lineup(), None, 4).champion
    (Lineup(champion='online-12.5', challengers=('a',)), 'online')
    """
    version = ONLINE if budget is None else f"{ONLINE}-{budget / partitions:.6g}"
    return Lineup(version, lineup.challengers)


def promoted(lineup: Lineup, version: str) -> Lineup:
    """With another champion; the one before leaves.

    >>> promoted(Lineup("a", ("b", "c")), "b")
    Lineup(champion='b', challengers=('c',))
    """
    return Lineup(version, tuple(each for each in lineup.challengers if each != version))


def shadowed(lineup: Lineup, version: str) -> Lineup:
    """With one more challenger.

    >>> shadowed(Lineup("a", ("b",)), "c")
    Lineup(champion='a', challengers=('b', 'c'))
    """
    return Lineup(lineup.champion, (*(each for each in lineup.challengers if each != version), version))


def released(lineup: Lineup, version: str) -> Lineup:
    """Without a challenger."""
    return Lineup(lineup.champion, tuple(each for each in lineup.challengers if each != version))


def former(appointments: Sequence[Appointment]) -> str:
    """The champion before the one that is in charge; empty where there was none.

    >>> def appointed(champion: str) -> Appointment:
    ...     return Appointment(number=1, lineup=Lineup(champion), what="", who="", when="")
    >>> former([appointed("a"), appointed("b"), appointed("b")]), former([appointed("a")])
    ('a', '')
    """
    now = appointments[-1].lineup.champion if appointments else ""
    champions = [each.lineup.champion for each in appointments if each.lineup.champion not in ("", now)]
    return champions[-1] if champions else ""
