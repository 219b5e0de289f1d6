"""What a file of rules may not say, though a rule may be so.

Whoever writes ``slide = 0`` means something by it, and a rule has it for "left
out". What stands in the rules topic since an older release is in force all the
same, so that a rule itself takes it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clickwarden.detection.measure import Distinct, Portion
from clickwarden.detection.owasp import THREATS
from clickwarden.detection.ruletest import Draft
from clickwarden.detection.tomllines import Path as Place

#: What says nothing, by the field, and the cure.
_NOTHING: dict[str, tuple[Any, str]] = {
    "slide": (0, "a window cannot begin every 0 seconds; leave it out, and windows lie side by side"),
    "events": ([], "no event is named, so that nothing would count; name some, or leave it out for all"),
    "owasp": ("", "names no threat; name one, OAT-001 to OAT-021, or leave it out for the category's"),
    "promote": (0, "0 must be 1 to the threshold, or left out"),
    "count": ("", 'does not say what; write "distinct FIELD", or leave it out to count clicks'),
    "share": ("", 'does not say of what; write "PART of ALL", or leave it out to count clicks'),
}


def of_rule(written: Mapping[str, Any], draft: Draft) -> Iterator[tuple[Place, str]]:
    """What a table of a rule may not say: the place in it, and why, with the field and the cure.

    Args:
        written: the table.
        draft: what it is read as.
    """
    for field, (nothing, why) in _NOTHING.items():
        if field in written and written[field] == nothing:
            yield (field,), f"{field}: {why}"
    if draft.owasp and draft.owasp not in THREATS:
        meant = draft.owasp.upper()
        cure = f"did you mean {meant}?" if meant in THREATS else "they are OAT-001 to OAT-021"
        yield ("owasp",), f"owasp: {draft.owasp!r} is none of OWASP's automated threats; {cure}"
    measure = draft.measure
    if isinstance(measure, Portion) and set(measure.part) == set(measure.whole):
        yield (
            ("share",),
            "share: all of these events are the part, too, so that every share is 1; name more events behind "
            "'of', or count them by events alone",
        )
    if isinstance(measure, Distinct) and "!*" in _several(draft.conditions.get(measure.field, ())):
        yield (
            ("where", measure.field),
            f"where.{measure.field}: lets only clicks without {measure.field} count, of which none has a "
            "value to be counted; take one of the two out",
        )
    names: set[str] = set()
    for number, test in enumerate(draft.test):
        if not test.name.strip():
            yield ("test", number, "name"), "name: is empty; say what the test shows"
        if test.name in names:
            yield (
                ("test", number, "name"),
                f"name: two tests of this rule are called {test.name!r}; call this one something else",
            )
        names.add(test.name)
        if any(not clicks.user for clicks in test.clicks):
            yield ("test", number, "clicks"), "user: is empty, and such clicks are rejected; name somebody"


def of_events(events: Mapping[str, Sequence[str]]) -> Iterator[tuple[Place, str]]:
    """What the table of what others call events may not say: its place, and why, with the cure."""
    owners: dict[str, str] = {}
    for event, others in events.items():
        if not others:
            yield (
                ("events", event),
                f"{event}: no other name is given; give one, or leave {event} out, which counts by its own",
            )
        for other in others:
            if other in events and other != event:
                yield (
                    ("events", event),
                    f"{event}: {other!r} is an event of this table itself, and would count as both; take it "
                    "out of one of the two",
                )
            owner = owners.setdefault(other, event)
            if owner != event:
                yield (
                    ("events", event),
                    f"{event}: {other!r} is another name of {owner} already, and would count as both; take "
                    "it out of one of the two",
                )


def _several(written: str | tuple[str, ...]) -> tuple[str, ...]:
    return (written,) if isinstance(written, str) else written
