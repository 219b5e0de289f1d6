"""One rule is revised: what it becomes, in which words, and what is refused with the rules as they were."""

from typing import Any

import msgspec
import pytest

from clickwarden.detection.revision import FailedTest, NoSuchRule, Revision, RevisionError, revised
from clickwarden.detection.rulebook import Change, Edition, edition_of

TOO_MANY = "51 are too many"
EXACT = {
    "name": TOO_MANY,
    "clicks": [{"user": "eve", "times": 51}],
    "expect": [{"user": "eve", "count": 51}],
}
FEW = {"name": "three are few", "clicks": [{"user": "ann", "times": 3}], "expect": []}
BOT = {"name": "bot", "window": 60, "threshold": 50, "promote": 20, "test": [EXACT, FEW]}
LOGINS = {"name": "logins", "window": 60, "threshold": 5, "events": ["login"], "description": "é"}
NEWER = {"name": "newer", "window": 60, "threshold": 5, "slope": 3}


def edition(*rules: Any, disabled: list[str] | None = None) -> Edition:
    raw = [msgspec.Raw(msgspec.json.encode(rule)) for rule in rules]
    return edition_of(
        Change(
            number=7, rules=raw, disabled=disabled or [], what="put", who="ann", when="2026-01-01T00:00:00Z"
        )
    )


def rules(written: list[msgspec.Raw]) -> list[Any]:
    return [msgspec.json.decode(raw) for raw in written]


def test_one_is_revised_and_the_others_stay_as_they_were_written_also_what_only_a_newer_release_reads() -> (
    None
):
    before = edition(NEWER, LOGINS, BOT)
    new = revised(before, "logins", Revision(threshold=1200, shadow=True))
    assert rules(new.rules) == [NEWER, LOGINS | {"threshold": 1200, "shadow": True}, BOT]
    assert new.rules[2] == before.change.rules[2]
    assert (new.disabled, new.what) == ([], "threshold of logins from 5 to 1,200, logins into shadow")
    assert [(draft.name, draft.threshold) for draft in new.drafts] == [("logins", 1200), ("bot", 50)]
    back = revised(edition(*rules(new.rules)), "logins", Revision(threshold=5, shadow=False))
    assert rules(back.rules) == [NEWER, LOGINS, BOT]
    assert back.what == "threshold of logins from 1,200 to 5, logins out of shadow"


def test_a_rule_is_put_out_of_force_and_into_it_again_with_another_threshold() -> None:
    off = revised(edition(BOT, LOGINS), "logins", Revision(enabled=False))
    assert (off.disabled, off.what, rules(off.rules)) == (["logins"], "disable logins", [BOT, LOGINS])
    assert [draft.name for draft in off.drafts] == ["bot"]
    there = edition(BOT, LOGINS, disabled=["logins", "gone"])
    on = revised(there, "logins", Revision(enabled=True, threshold=9))
    assert (on.disabled, on.what) == (["gone"], "enable logins, threshold of logins from 5 to 9")
    assert [draft.threshold for draft in on.drafts] == [50, 9]


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"threshold": 0}, "threshold", "threshold: 0 must be at least 1"),
        ({"threshold": -(2**70)}, "threshold", "must be at least 1"),
        (
            {"threshold": 10},
            "threshold",
            "promote: 20 must be 1 to the threshold, or left out; that is changed",
        ),
        ({}, "", "bot: is so already"),
        (
            {"threshold": 50, "shadow": False, "enabled": True, "without": ("no such",)},
            "",
            "bot: is so already",
        ),
        (
            {"threshold": 51},
            "threshold",
            "threshold: test '51 are too many' of rule bot fails: expected eve with 51 clicks, came nobody; "
            "choose another value, or have the rule do without the test",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(given: Any, field: str, said: str) -> None:
    with pytest.raises(RevisionError) as caught:
        revised(edition(BOT, LOGINS), "bot", Revision(**given))
    assert caught.value.field == field
    assert said in str(caught.value)


def test_a_test_that_fails_is_named_and_can_be_done_without_and_holds_where_the_rule_is_put_into_force() -> (
    None
):
    with pytest.raises(RevisionError) as caught:
        revised(edition(BOT, LOGINS), "bot", Revision(threshold=51))
    assert caught.value.tests == [FailedTest(TOO_MANY, "expected eve with 51 clicks, came nobody")]
    assert (
        revised(edition(BOT, LOGINS), "bot", Revision(threshold=51), tested=False).drafts[0].threshold == 51
    )
    new = revised(edition(BOT, LOGINS), "bot", Revision(threshold=51, without=(TOO_MANY,)))
    assert (new.drafts[0].threshold, [test.name for test in new.drafts[0].test]) == (51, [FEW["name"]])
    assert new.what == "threshold of bot from 50 to 51, bot without its test '51 are too many'"
    off = revised(edition(BOT, LOGINS), "bot", Revision(threshold=51, enabled=False))
    there = edition(*rules(off.rules), disabled=off.disabled)
    with pytest.raises(RevisionError, match="enabled: test '51 are too many' of rule bot fails"):
        revised(there, "bot", Revision(enabled=True))


def test_the_last_rule_in_force_stays_there() -> None:
    with pytest.raises(RevisionError, match="bot: is the only rule in force") as caught:
        revised(edition(NEWER, BOT, LOGINS, disabled=["logins"]), "bot", Revision(enabled=False))
    assert caught.value.field == "enabled"


@pytest.mark.parametrize("name", ["newer", "no such", ""])
def test_a_rule_that_is_not_there_or_cannot_be_read_is_none(name: str) -> None:
    with pytest.raises(NoSuchRule, match="there is no rule of that name; there are bot, logins"):
        revised(edition(NEWER, BOT, LOGINS), name, Revision(threshold=4))
