"""A file of rules: what is refused, where, and with which cure; and the tests that rules bring along."""

from pathlib import Path
from time import process_time

import msgspec
import pytest

from clickwarden.detection import rulesfile
from clickwarden.detection.ruletest import Draft
from clickwarden.detection.tomllines import lines_of
from clickwarden.errors import SettingsError

SHIPPED = Path(__file__).parents[3] / "rules.toml"
GOOD = '[[rule]]\nname = "bot"\nwindow = 60\nthreshold = 50\n'
LOGINS = '[[rule]]\nname = "logins"\nwindow = 60\nthreshold = 2\nevents = [\n  "login",\n]\n'


def refused(content: str) -> str:
    with pytest.raises(SettingsError) as error:
        rulesfile.parse(content.encode(), "my.toml")
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GOOD.replace("50", "0"), "my.toml, line 4: rule 'bot': threshold: 0 must be at least 1"),
        (GOOD.replace("50", "3000000000"), "line 4: rule 'bot': threshold: 3000000000 must be at most 2,"),
        (
            GOOD + LOGINS.replace("= 2", "= 2.5"),
            "my.toml, line 8: rule 'logins': threshold: must be a whole number, and is",
        ),
        (
            GOOD + "\n# threshold = 1\n" + LOGINS + "treshold = 1\n",
            "my.toml, line 14: rule 'logins': treshold: there is no such field; did you mean threshold?",
        ),
        (
            GOOD + "colour = 1\n",
            "my.toml, line 5: rule 'bot': colour: there is no such field; there are name,",
        ),
        (LOGINS.replace("window = 60\n", ""), "my.toml, line 1: rule 'logins': window: is missing; add it"),
        (
            GOOD + LOGINS + GOOD,
            "my.toml, line 13: rule 'bot': name: two rules are named 'bot'; call this one",
        ),
        (
            LOGINS.replace('"login"', "5"),
            "my.toml, line 5: rule 'logins': events: must be text in quotes, and is a whole number; the",
        ),
        (
            GOOD + 'description = """\n[[rule]]\nname = 5\n"""\nwidth = 1000\n',
            "my.toml, line 9: rule 'bot': width: 1000 must be a power of two from 1024 to",
        ),
        ("[rule]\nname = 'bot'\n", "my.toml, line 1: rule: there may be several; write [[rule]], with two"),
        (
            GOOD + "[rule.test]\n",
            "my.toml, line 5: rule 'bot': test: there may be several; write [[rule.test]]",
        ),
        (
            GOOD + "\n[[rule.where]]\na = 1\n",
            "my.toml, line 6: rule 'bot': where: there is but one; write [rule.",
        ),
        ("\n[[rules]]\nname = 'bot'\n", "my.toml, line 2: rules: there is no such field; did you mean rule?"),
        (
            GOOD + "category = 'robot'\n",
            "line 5: rule 'bot': category: 'robot' must be one of bot, scraper, credential_stuffing",
        ),
        ("rule = 5\n", "my.toml, line 1: rule: must be a list in [ ], and is a whole number; the first"),
        ("", "my.toml: holds no rule; add a [[rule]] with name, window and threshold"),
        (GOOD + "\n[events", "my.toml, line 6: is not TOML: Expected ']'"),
        (GOOD + "name = 1\n", "my.toml, line 5: is not TOML: Cannot overwrite a value"),
        (GOOD + "threshold == 1\n", "my.toml, line 5: is not TOML: "),
        (
            GOOD + "slide = 0\n",
            "line 5: rule 'bot': slide: a window cannot begin every 0 seconds; leave it out",
        ),
        (
            GOOD + "events = []\n",
            "line 5: rule 'bot': events: no event is named, so that nothing would count",
        ),
        (GOOD + "promote = 0\n", "line 5: rule 'bot': promote: 0 must be 1 to the threshold, or left out"),
        (GOOD + 'count = ""\n', "line 5: rule 'bot': count: does not say what; write \"distinct FIELD\""),
        (GOOD + 'share = ""\n', "line 5: rule 'bot': share: does not say of what; write \"PART of ALL\""),
        (GOOD + 'owasp = ""\n', "line 5: rule 'bot': owasp: names no threat; name one, OAT-001 to OAT-021"),
        (
            GOOD + 'owasp = "OAT-022"\n',
            "owasp: 'OAT-022' is none of OWASP's automated threats; they are OAT-001",
        ),
        (
            GOOD + 'owasp = "oat-003"\n',
            "'oat-003' is none of OWASP's automated threats; did you mean OAT-003?",
        ),
        (
            GOOD + 'share = "a, b of b, a"\nat_least = 0.5\n',
            "line 5: rule 'bot': share: all of these events are the part, too, so that every share is 1;",
        ),
        (
            GOOD + 'count = "distinct sku"\n[rule.where]\nsku = "!*"\n',
            "line 7: rule 'bot': where.sku: lets only clicks without sku count, of which none has a value",
        ),
        (
            GOOD + '[events]\nview = ["page"]\nlogin = ["in", "page"]\n',
            "line 7: login: 'page' is another name of view already, and would count as both; take it out",
        ),
        (
            GOOD + '[events]\nview = ["login"]\nlogin = ["in"]\n',
            "line 6: view: 'login' is an event of this table itself, and would count as both; take it out of",
        ),
        (GOOD + "[events]\nview = []\n", "line 6: view: no other name is given; give one, or leave view out"),
        (
            GOOD + '[[rule.test]]\nname = "t"\nclicks = []\nexpect = []\n' * 2,
            "line 10: rule 'bot': name: two tests of this rule are called 't'; call this one something else",
        ),
        (
            GOOD + '[[rule.test]]\nname = " "\nclicks = []\nexpect = []\n',
            "line 6: rule 'bot': name: is empty; say what the test shows",
        ),
        (
            GOOD + '[[rule.test]]\nname = "t"\nclicks = [{ user = "" }]\nexpect = []\n',
            "line 7: rule 'bot': user: is empty, and such clicks are rejected; name somebody",
        ),
        (
            GOOD.replace("50", "nan"),
            "line 4: rule 'bot': threshold: must be a whole number, and is a number that",
        ),
        (
            GOOD.replace("50", "true"),
            "line 4: rule 'bot': threshold: must be a whole number, and is true or false",
        ),
        (
            GOOD.replace("60", "00:01:00"),
            "line 3: rule 'bot': window: must be a whole number, and is a time of day",
        ),
        (GOOD.replace("50", "9" * 5000), "my.toml, line 4: holds a number that is too long to be read"),
        (GOOD.replace("50", "9" * 400), "line 4: rule 'bot': threshold: 999"),
        (
            GOOD.replace("50", "-1e400"),
            "line 4: rule 'bot': threshold: must be a whole number, and is a number",
        ),
        (GOOD + "width = -1024\n", "line 5: rule 'bot': width: -1024 must be a power of two from 1024 to"),
        (
            GOOD + 'share = "a of a, b"\nat_least = nan\n',
            "line 6: rule 'bot': at_least: nan must be more than 0",
        ),
        (GOOD + "shadow = 1\n", "line 5: rule 'bot': shadow: must be true or false, and is a whole number"),
        (GOOD + '"a\\nb" = 1\n', r"my.toml, line 1: rule 'bot': a\nb: there is no such field; there are"),
        (GOOD + '[rule.where]\n"a\\u001b[2J\\nb" = 1\n', r"rule 'bot': where.a\x1b[2J\nb: "),
        (GOOD + "[rule.where]\na = 1\n[rule.where]\nb = 1\n", "line 7: is not TOML: Cannot declare"),
        (
            GOOD + "[rule.where]\n",
            "line 5: rule 'bot': where: holds no condition; add one, as in status = 404",
        ),
        (
            GOOD + "[rule.where.a.b]\nc = inf\n",
            "rule 'bot': where.a.b.c: inf is no value; write text, a number",
        ),
        ('rule = ["bot"]\n', "line 1: rule 1: rule: must be a table, and is text in quotes"),
        ("a = " + "[" * 5000 + "]" * 5000, "my.toml: is nested too deep to be read; is it another file?"),
        ('{"rule": []}', "my.toml, line 1: is not TOML: "),
        ("rule:\n  - name: bot\n", "my.toml, line 1: is not TOML: "),
        (GOOD + "\0", "my.toml, line 5: is not TOML: "),
        (
            ("# a\n" + GOOD + LOGINS + "slide = 7\n").replace("\n", "\r\n"),
            "my.toml, line 13: rule 'logins': slide: 7 of rule logins must divide its window of 60 s",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_line_field_and_cure(content: str, said: str) -> None:
    assert said in refused(content)
    assert refused(content).isprintable()


def test_a_mark_of_the_encoding_is_no_fault() -> None:
    (draft,) = rulesfile.parse(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(), "my.toml")
    assert draft.name == "bot"


def test_a_rule_that_is_in_force_since_an_older_release_is_as_it_was() -> None:
    old = b'{"name": "bot", "window": 60, "threshold": 50, "slide": 0, "events": [], "owasp": "ours"}'
    assert msgspec.json.decode(old, type=Draft).rule.threat == "ours"


def test_a_file_that_is_not_utf_8() -> None:
    with pytest.raises(SettingsError, match=r"my\.toml, line 3: is not UTF-8"):
        rulesfile.parse(b"# a\n# b\n# \xff\n" + GOOD.encode(), "my.toml")


def test_a_file_that_is_too_large_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(b"# \n" * 3_500_000)
    with pytest.raises(
        SettingsError, match=r"access\.log: has 10,500,000 bytes, and a file of rules at most"
    ):
        rulesfile.load(path)


def with_test(expect: str, clicks: str = '{ user = "eve", times = 51, every = 1.0 }') -> str:
    return GOOD + f'\n[[rule.test]]\nname = "a minute"\nclicks = [{clicks}]\nexpect = [{expect}]\n'


@pytest.mark.parametrize(
    ("clicks", "expect"),
    [
        ('{ user = "eve", times = 51, every = 1 }', '{ user = "eve", count = 51 }'),
        ('{ user = "eve", times = 50, every = 1 }', ""),
        ('{ user = "eve", times = 51, every = 1, start = 30 }', ""),
        (
            '{ user = "eve", times = 120, every = 1 }, { user = "bob", times = 60, start = 59 }',
            '{ user = "bob", count = 60 }, { user = "eve", count = 60 }, { user = "eve", count = 60 }',
        ),
        ("", ""),
    ],
)
def test_a_rule_that_does_what_its_test_expects(clicks: str, expect: str) -> None:
    (draft,) = rulesfile.parse(with_test(expect, clicks).encode(), "my.toml")
    assert len(draft.test) == 1


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ("", "expected nobody, came eve with 51 clicks"),
        ('{ user = "eve", count = 50 }', "expected eve with 50 clicks, came eve with 51 clicks"),
        ('{ user = "ann", count = 51 }', "expected ann with 51 clicks, came eve with 51 clicks"),
        (
            '{ user = "eve", count = 51 }, { user = "eve", count = 51 }',
            "expected eve with 51 clicks, eve with 51 clicks, came eve with 51 clicks",
        ),
    ],
)
def test_a_test_that_fails_says_what_came_instead(expect: str, said: str) -> None:
    assert refused(with_test(expect)) == (
        f"my.toml, line 6: rule 'bot': test 'a minute': {said}; mend the rule, or what the test expects"
    )


@pytest.mark.parametrize(
    ("clicks", "said"),
    [
        ('{ user = "eve", times = 0 }', "line 8: rule 'bot': times: 0 must be 1 to 100,000"),
        ('{ user = "eve", every = -1 }', "line 8: rule 'bot': every: -1 must be 0 to 86400 seconds"),
        (
            '{ user = "eve", evry = 1 }',
            "line 8: rule 'bot': evry: there is no such field; did you mean every?",
        ),
        ("{ times = 5 }", "line 8: rule 'bot': user: is missing; add it"),
        (
            '{ user = "eve", times = 60000 }, { user = "ann", times = 60000 }',
            "line 8: rule 'bot': clicks: a test has at most 100,000; a lower threshold needs fewer",
        ),
    ],
)
def test_a_test_that_is_none(clicks: str, said: str) -> None:
    assert said in refused(with_test("", clicks))


def test_a_rule_keeps_no_test() -> None:
    (draft,) = rulesfile.parse(with_test('{ user = "eve", count = 51 }').encode(), "my.toml")
    assert draft.rule == rulesfile.parse(GOOD.encode(), "my.toml")[0].rule


def test_every_rule_that_we_ship_has_a_test_that_finds_somebody() -> None:
    for draft in rulesfile.parse(SHIPPED.read_bytes(), str(SHIPPED)):
        assert any(test.expect for test in draft.test), draft.name


def test_the_shipped_tests_see_a_threshold_that_is_not_theirs() -> None:
    shipped = SHIPPED.read_text()
    for threshold in ("50", "15", "200"):
        for other in (int(threshold) - 1, int(threshold) + 10):
            changed = shipped.replace(f"threshold = {threshold}\n", f"threshold = {other}\n")
            with pytest.raises(SettingsError, match="expected"):
                rulesfile.parse(changed.encode(), "rules.toml")


def test_a_long_line_of_blanks_takes_no_time() -> None:
    began = process_time()
    assert lines_of(" " * 2000 + '\n[[rule]]\n name = "a"') == {("rule", 0): 2, ("rule", 0, "name"): 3}
    assert process_time() - began < 1
