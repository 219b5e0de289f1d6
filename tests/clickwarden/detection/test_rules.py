from pathlib import Path

import pytest

from clickwarden.detection import rulesfile
from clickwarden.detection.rules import Rule
from clickwarden.errors import SettingsError

GOOD = 'name = "bot"\nwindow = 60\nthreshold = 50\n'


def load(folder: Path, *tables: str) -> tuple[Rule, ...]:
    path = folder / "rules.toml"
    path.write_text("\n".join(f"[[rule]]\n{table}" for table in tables))
    return rulesfile.load(path)


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    (rule,) = load(tmp_path, GOOD)
    assert rule == Rule(name="bot", window=60, threshold=50)
    assert (rule.events, rule.level, rule.width, rule.threat) == ((), 25, 65_536, "OAT-003")


def test_what_is_given_is_taken_in_the_files_order(tmp_path: Path) -> None:
    more = 'name = "logins"\nwindow = 5\nthreshold = 1\nevents = ["login"]\npromote = 1\nowasp = "OAT-007"\n'
    bot, logins = load(tmp_path, GOOD, more)
    assert (bot.name, logins.name) == ("bot", "logins")
    assert (logins.events, logins.level, logins.threat) == (("login",), 1, "OAT-007")


def test_a_rule_counts_what_others_call_its_events(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    names = '[events]\nview = ["page_view", "Page Viewed", "view"]\nlogin = ["Signed In"]\n'
    path.write_text(
        f'[[rule]]\n{GOOD}\n[[rule]]\n{GOOD.replace("bot", "reader")}events = ["view", "buy"]\n{names}'
    )
    bot, reader = rulesfile.load(path)
    assert bot.events == ()
    assert reader.events == ("view", "buy", "page_view", "Page Viewed")


def test_the_rules_we_ship_are_right() -> None:
    shipped = rulesfile.load(Path(__file__).parents[3] / "rules.toml")
    assert next((rule.name, rule.window, rule.threshold) for rule in shipped) == ("bot", 60, 50)
    assert {rule.category for rule in shipped} == {"bot", "scraper", "credential_stuffing"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (GOOD.replace("50", "0"), "threshold: 0 must be at least 1"),
        (GOOD.replace("50", "-1"), "threshold: -1 must be at least 1"),
        (GOOD.replace("50", "50.5"), "threshold"),
        (GOOD.replace("60", "0"), "window: 0 must be 1 to 86400 seconds"),
        (GOOD.replace("60", "86401"), "window: 86401 must be 1 to 86400 seconds"),
        (GOOD.replace('"bot"', '"a bot"'), "name: 1 to 64 letters, digits, - and _"),
        (GOOD.replace("window = 60\n", ""), "window"),
        (GOOD + "treshold = 50\n", "treshold"),
        (GOOD + "promote = 51\n", "promote: 51 must be 1 to the threshold, or left out"),
        (GOOD + "width = 1000\n", "width: 1000 must be a power of two from 1024 to"),
        (GOOD + "slide = 7\n", "slide: 7 of rule bot must divide its window of 60 s; choose one that does"),
        (GOOD + "slide = 120\n", "slide: 120 of rule bot must divide its window of 60 s"),
        (GOOD + "slide = -10\n", "slide: -10 of rule bot must divide its window of 60 s"),
        (
            GOOD.replace("60", "3600") + "slide = 1\n",
            "fall into 3600 windows, and 12 are the most: choose at least 300",
        ),
        (GOOD + 'category = "human"\n', "human"),
        (GOOD + 'events = "view"\n', "events: must be a list in [ ], and is text in quotes"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_file_its_key_and_the_cure(
    tmp_path: Path, changed: str, said: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, changed)
    assert str(tmp_path / "rules.toml") in str(refused.value)
    assert said in str(refused.value)


def test_two_rules_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="two rules are named 'bot'"):
        load(tmp_path, GOOD, GOOD)


@pytest.mark.parametrize(("content", "said"), [(b"rule = []", "holds no rule; add a"), (b"", "rule")])
def test_a_file_without_a_rule(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "rules.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=said):
        rulesfile.load(tmp_path / "rules.toml")


@pytest.mark.parametrize("content", [b"[[rule]", b"\xff\xfe", b"[[rule]]\nname = 1\nname = 2"])
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rules.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=r"rules\.toml, line \d: is not "):
        rulesfile.load(tmp_path / "rules.toml")


def test_a_file_that_is_not_there_and_one_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"absent\.toml: no such file of rules; write one.*CLICKWARDEN_RULES"
    ):
        rulesfile.load(tmp_path / "absent.toml")
    with pytest.raises(SettingsError, match="is a folder; name the file of rules that is in it"):
        rulesfile.load(tmp_path)
    with pytest.raises(SettingsError, match=r"cannot be read \(File name too long\); name a file of rules"):
        rulesfile.load(tmp_path / ("x" * 300))
