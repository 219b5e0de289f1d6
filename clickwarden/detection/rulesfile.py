"""Rules as people write them: ``rules.toml``."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from clickwarden.detection import strictness, tomlfile
from clickwarden.detection.measure import Portion
from clickwarden.detection.rules import Rule
from clickwarden.detection.ruletest import ClicksOf, Draft, Expected, RuleTest
from clickwarden.detection.tomllines import Path as Place
from clickwarden.errors import SettingsError

#: A file of rules is smaller: a hundred rules with tests are 60 KB.
MOST_BYTES = 256 * 1024

#: What each table of the file takes, by the last name of its place.
_TABLES: dict[str, type[msgspec.Struct]] = {
    "rule": Draft,
    "test": RuleTest,
    "clicks": ClicksOf,
    "expect": Expected,
}


class _File(msgspec.Struct, forbid_unknown_fields=True):
    rule: list[Draft] = []
    events: dict[str, list[str]] = {}


def load(path: Path) -> tuple[Rule, ...]:
    """Read the rules, in the file's order, each with all names of its events; their tests are not run.

    Raises:
        SettingsError: as :func:`parse`, or the file cannot be read.
    """
    return tuple(draft.rule for draft in parse(read(path), str(path), tested=False))


def read(path: Path) -> bytes:
    """The content of a file of rules.

    Raises:
        SettingsError: it is missing, cannot be read, or is too large to be one.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: no such file of rules; write one (see rules.toml in the repository), or name the one "
            "you have; where none is named, CLICKWARDEN_RULES names it"
        ) from None
    except IsADirectoryError:
        raise SettingsError(f"{path}: is a folder; name the file of rules that is in it") from None
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read ({error.strerror}); name a file of rules that can be"
        ) from None
    if len(content) > MOST_BYTES:
        size = max(len(content), path.stat().st_size)  # a pipe says nothing of its own
        raise SettingsError(
            f"{path}: has {size:,} bytes, and a file of rules at most {MOST_BYTES:,}; is it another file? "
            "Name the right one"
        )
    return content


def parse(content: bytes, name: str, *, tested: bool = True) -> tuple[Draft, ...]:
    """The rules that a file holds, each with all names of its events.

    Args:
        content: of the file.
        name: of the file, for errors.
        tested: whether the tests of the rules are run, too.

    Raises:
        SettingsError: it is not TOML, a rule is wrong, or one of its tests fails; with file, line, field,
            and cure.
    """
    document = tomlfile.document(content, name)
    for place, fault in _faults(document.content, tested=tested):
        raise document.fail(place, fault)
    return _named(msgspec.convert(document.content, _File))


def _faults(document: dict[str, Any], *, tested: bool) -> Iterator[tuple[Place, str]]:
    """What is wrong, and its place."""
    try:
        found = msgspec.convert(document, _File)
    except msgspec.ValidationError as error:
        hint = "the first lines of rules.toml say what it takes"
        yield tomlfile.explained(str(error), _TABLES | {"": _File}, hint)
        return
    if not found.rule:
        yield (), "holds no rule; add a [[rule]] with name, window and threshold"
    yield from strictness.of_events(found.events)
    names: set[str] = set()
    for number, draft in enumerate(found.rule):
        for place, fault in strictness.of_rule(document["rule"][number], draft):
            yield ("rule", number, *place), fault
        if draft.name in names:
            yield (
                ("rule", number, "name"),
                f"name: two rules are named {draft.name!r}; call this one something else",
            )
        names.add(draft.name)
        if isinstance(draft.measure, Portion) and (name := _unshareable(draft, found.events)):
            yield (
                ("events",),
                f"events: {name!r} cannot be part of a share, as of rule {draft.name!r}, for its comma; take "
                "it out, or let the rule count its events",
            )
            return
    for number, draft in enumerate(_named(found) if tested else ()):
        for test, fault in draft.faults():
            yield ("rule", number, "test", test), f"{fault}; mend the rule, or what the test expects"


def _named(found: _File) -> tuple[Draft, ...]:
    """The rules, each with what others call its events behind what it calls them."""
    return tuple(_with_names(draft, found.events) for draft in found.rule)


def _with_names(draft: Draft, others: Mapping[str, Sequence[str]]) -> Draft:
    named: dict[str, Any] = {"events": _names(draft.events, others)}
    if isinstance(share := draft.measure, Portion):
        named["share"] = share._replace(part=_names(share.part, others), whole=named["events"]).written
    return msgspec.structs.replace(draft, **named)


def _unshareable(draft: Draft, others: Mapping[str, Sequence[str]]) -> str:
    """A name that would be two in a share; empty where there is none."""
    return next((name for name in _names(draft.events, others) if "," in name), "")


def _names(events: Sequence[str], others: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    names = [*events, *(name for event in events for name in others.get(event, ()))]
    return tuple(dict.fromkeys(names))
