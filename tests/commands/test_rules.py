import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

import commands.rules

SHIPPED = Path(__file__).parents[2] / "rules.toml"


def rules(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "faust", "-A", "app", "rules", *arguments],
        env=os.environ | {"CLICKWARDEN_BROKER": "kafka://127.0.0.1:9", "COLUMNS": "80"},
        cwd=SHIPPED.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_check_runs_the_tests_of_the_shipped_rules_with_nothing_running() -> None:
    done = rules("check")
    assert (done.returncode, done.stdout) == (0, "rules.toml: 3 rules, 4 tests passed\n")


def test_check_says_what_came_instead(tmp_path: Path) -> None:
    changed = tmp_path / "changed.toml"
    changed.write_text(SHIPPED.read_text().replace("threshold = 200", "threshold = 206"))
    done = rules("check", str(changed))
    assert done.returncode == 1
    line = changed.read_text().count("\n", 0, changed.read_text().rindex("[[rule.test]]")) + 1
    assert done.stderr == (
        f"clickwarden: {changed}, line {line}: rule 'slow-scraper': test 'A page every 2.9 seconds for ten "
        "minutes is no reader, one every 3 is': expected eve with 206 clicks, came nobody; mend the rule, or "
        "what the test expects\n"
    )


def test_disable_wants_a_name_and_needs_no_kafka_to_say_so() -> None:
    done = rules("disable")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("clickwarden: disable: say which rule, by its name; ")


def asked(*arguments: str) -> Result:
    return CliRunner().invoke(commands.rules.rules, arguments)


def test_each_action_explains_itself_and_its_options_alone() -> None:
    actions = asked("--help").output.split("Commands:")[1]
    for action, option, foreign in (
        ("list", "--json", "--why"),
        ("check", "[FILE]", "--why"),
        ("put", "--why", "--json"),
        ("disable", "--why", "--json"),
        ("try", "--trusted-proxies", "--why"),
        ("history", "--json", "--since"),
    ):
        assert f"\n  {action} " in actions
        said = asked(action, "--help").output
        assert option in said
        assert foreign not in said
    options = asked("try", "--help").output
    assert options.index("--since") < options.index("--json") < options.index("--user")


def test_what_an_action_does_not_take_is_refused() -> None:
    done = asked("check", "rules.toml", "--json")
    assert done.exit_code == 2
    assert "No such option: --json" in done.output
