"""A revision of one rule: what somebody on duty changes of it, held against what a rule must be."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from clickwarden.detection.rulebook import Edition, name_of
from clickwarden.detection.ruletest import Draft
from clickwarden.errors import SettingsError


class FailedTest(msgspec.Struct, frozen=True):
    """A test of the rule that fails.

    Attributes:
        test: its name.
        fault: what was expected, and what came instead.
    """

    test: str
    fault: str


class RevisionError(SettingsError):
    """A rule cannot be revised so, or there is nothing to revise.

    Attributes:
        field: which is wrong; empty where it is none of them.
        tests: those of the rule that fail.
    """

    def __init__(self, why: str, field: str = "", tests: Sequence[FailedTest] = ()) -> None:
        super().__init__(why)
        self.field = field
        self.tests = list(tests)


class NoSuchRule(RevisionError):
    """There is no rule of that name that this release can read."""


class Revision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of a rule; what is left out stays as it is.

    Attributes:
        threshold: more than so many are an anomaly.
        shadow: whether what it finds is recorded only.
        enabled: whether it is in force.
        without: names of its tests that it no longer has.
    """

    threshold: int | msgspec.UnsetType = msgspec.UNSET
    shadow: bool | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    without: tuple[str, ...] = ()


class Revised(NamedTuple):
    """All rules as they would be.

    Attributes:
        rules: as they stand in a change.
        disabled: names of those that are not in force.
        drafts: those in force that this release can read.
        what: is done, in words.
    """

    rules: list[msgspec.Raw]
    disabled: list[str]
    drafts: list[Draft]
    what: str


def revised(last: Edition, name: str, revision: Revision, *, tested: bool = True) -> Revised:
    """The rules with one of them revised.

    Args:
        last: the newest change.
        name: of the rule.
        revision: of it.
        tested: whether its tests are run, too; each 100,000 clicks of them take a second.

    Raises:
        RevisionError: it cannot be so, or one of its tests fails; or there is no such rule.
    """
    old = next((draft for draft in last.drafts if draft.name == name), None)
    if old is None:
        names = ", ".join(draft.name for draft in last.drafts)
        raise NoSuchRule(f"{name}: there is no rule of that name; there are {names}")
    enabled = name not in last.change.disabled
    new = _replaced(old, revision)
    what, on = _words(old, new, revision), enabled
    if revision.enabled is not msgspec.UNSET and revision.enabled != enabled:
        on = revision.enabled
        what = [f"{'enable' if on else 'disable'} {name}", *what]
    if not what:
        raise RevisionError(
            f"{name}: is so already; change its threshold, whether it is in shadow, or whether it is in force"
        )
    if on and tested:
        _test(new, "threshold" if new.threshold != old.threshold else "enabled")
    disabled = [other for other in last.change.disabled if other != name] + ([] if on else [name])
    drafts = [new if draft is old else draft for draft in last.drafts if draft.name not in disabled]
    if not drafts:
        raise RevisionError(
            f"{name}: is the only rule in force, and nobody would be watched; put others first", "enabled"
        )
    # The others as they were written: also those that only a newer release can read.
    rules = list(last.change.rules)
    if new != old:
        rules[[name_of(raw) for raw in rules].index(name)] = msgspec.Raw(msgspec.json.encode(new))
    return Revised(rules, disabled, drafts, ", ".join(what))


def _replaced(old: Draft, revision: Revision) -> Draft:
    given = {
        field: value
        for field in ("threshold", "shadow")
        if (value := getattr(revision, field)) is not msgspec.UNSET
    }
    tests = tuple(test for test in old.test if test.name not in revision.without)
    try:
        return msgspec.structs.replace(old, **given, test=tests)
    except ValueError as error:
        said = str(error)
        field = said.partition(":")[0]
        cure = "" if field in given else "; that is changed with 'faust -A app rules put FILE'"
        raise RevisionError(f"{said}{cure}", field if field in given else "threshold") from None


def _words(old: Draft, new: Draft, revision: Revision) -> list[str]:
    words = []
    if new.threshold != old.threshold:
        words.append(f"threshold of {old.name} from {old.threshold:,} to {new.threshold:,}")
    if new.shadow != old.shadow:
        words.append(f"{old.name} {'into' if new.shadow else 'out of'} shadow")
    gone = [test.name for test in old.test if test not in new.test]
    return words + [f"{old.name} without its test {name!r}" for name in gone]


def _test(draft: Draft, field: str) -> None:
    """Refuse a rule whose tests fail."""
    faults = ((test.name, test.fault(draft.rule)) for test in draft.test)
    failing = [FailedTest(name, fault) for name, fault in faults if fault]
    if failing:
        raise RevisionError(
            f"{field}: test {failing[0].test!r} of rule {draft.name} fails: {failing[0].fault}; choose "
            "another value, or have the rule do without the test",
            field,
            failing,
        )
