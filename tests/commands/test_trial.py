"""A draft is tried on a log with nothing running."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOG = ROOT / "examples" / "access.log"
RULES = (ROOT / "examples" / "rules.toml").read_text()
#: As `scan` finds with a threshold of 30.
FOUND = {"144.76.194.187", "65.55.213.73", "199.168.96.66"}


def tried(
    *arguments: str, draft: str | bytes = RULES, folder: Path = ROOT
) -> subprocess.CompletedProcess[bytes]:
    """``rules try -``."""
    return subprocess.run(
        [sys.executable, "-m", "faust", "-A", "app", "rules", "try", "-", *arguments],
        input=draft.encode() if isinstance(draft, str) else draft,
        env=os.environ
        | {
            "CLICKWARDEN_BROKER": "kafka://127.0.0.1:9",
            "CLICKWARDEN_RULES": str(ROOT / "examples" / "rules.toml"),
            "COLUMNS": "200",
        },
        cwd=folder,
        capture_output=True,
        timeout=60,
    )


def test_a_log_beside_the_rules_of_the_file_where_no_kafka_answers() -> None:
    done = tried("--file", str(LOG), "--json", draft=RULES.replace("30", "34"))
    assert (done.returncode, done.stderr) == (0, b"")
    found = json.loads(done.stdout)
    assert found["against"] == f"the rules of {ROOT / 'examples' / 'rules.toml'}"
    assert (found["clicks"], found["begin"][:10], found["end"][:10]) == (2575, "2015-05-17", "2015-05-19")
    (rule,) = found["rules"]
    assert (rule["before"], rule["draft"]["users"]) == (
        {"users": 3, "windows": 3, "messages": 3, "shadow": 0},
        2,
    )
    assert [(case["user_id"], case["count"]) for case in found["lost"]] == [("144.76.194.187", 31)]
    assert found["newest"] == []


def test_conditions_are_tried_too(tmp_path: Path) -> None:
    begin = '[[rule]]\nname = "crawler"\nwindow = 60\nthreshold = 20\n[rule.where]\n'
    found = json.loads(tried("--file", str(LOG), "--json", draft=begin + 'method = "GET"\n').stdout)
    assert found["new"] == 1
    clicks = tmp_path / "clicks.ndjson"
    click = {"user_id": "eve", "event": "view", "timestamp": 1773152400, "context": {"plan": "free"}}
    clicks.write_text(f"{json.dumps(click)}\n" * 21)
    found = json.loads(tried("--file", str(clicks), "--json", draft=begin + 'context.plan = "f*"\n').stdout)
    assert [case["user_id"] for case in found["newest"]] == ["eve"]


def test_the_rules_may_come_as_json_as_programs_have_them() -> None:
    rule = {"name": "crawler", "window": 60, "threshold": 20, "events": ["view"]}
    done = tried("--file", str(LOG), "--json", draft=json.dumps({"rule": [rule]}))
    found = json.loads(done.stdout)
    assert found["before"]["users"] == 3
    assert found["new"] == 1


def test_labels_say_how_right_each_is(tmp_path: Path) -> None:
    labels = tmp_path / "bots.txt"
    labels.write_text("\n".join([*FOUND, "203.0.113.9"]))
    done = tried("--file", str(LOG), "--labels", str(labels), draft=RULES.replace("30", "20"))
    said = done.stdout.decode()
    assert (
        "labels, in force: precision 1.000, recall 1.000, F1 1.000 (3 bots found, 0 missed, 0 false" in said
    )
    assert (
        "labels, draft: precision 0.750, recall 1.000, F1 0.857 (3 bots found, 0 missed, 1 false al" in said
    )


def test_what_people_are_shown() -> None:
    said = tried("--file", str(LOG), draft=RULES.replace("30", "20")).stdout.decode()
    assert "standard input beside the rules of " in said
    assert "3 (" in said
    assert "a day)" in said
    assert (
        "new:\n  crawler  208.115.111.72  22 clicks in the window from 2015-05-17T11:05:00Z, limit 20" in said
    )
    assert "gone:" not in said
    assert "nothing would change" in tried("--file", str(LOG)).stdout.decode()


def test_where_there_are_no_clicks_there_is_nothing_to_try(tmp_path: Path) -> None:
    (tmp_path / "empty.log").write_bytes(b"")
    done = tried("--file", str(tmp_path / "empty.log"))
    assert done.returncode == 0
    assert b"no clicks: there is nothing to try the draft on" in done.stdout


def test_what_is_wrong_is_one_sentence() -> None:
    test = '\n[[rule.test]]\nname = "few"\nclicks = [{ user = "eve", times = 31 }]\nexpect = []\n'
    for draft, arguments, said in (
        (
            RULES.replace("30", "0"),
            (),
            "standard input, line 8: rule 'crawler': threshold: 0 must be at least",
        ),
        (RULES + test, (), "rule 'crawler': test 'few': expected nobody, came eve with 31 clicks; mend the"),
        ('{"rule": [{"name": "bot"}]}', (), "standard input: Object missing required field `window`"),
        ('{"rule": []}', (), "standard input: holds no rule"),
        ("#" * 300_000, (), "standard input: rules have at most 262,144 bytes"),
        (RULES, ("--since", "1h", "--file", str(LOG)), "--since goes with the topic; a file is read whole"),
        (RULES, ("--file", "none.log"), "none.log: no such file"),
        (RULES, ("--file", str(LOG), "--labels", "none.csv"), "none.csv: cannot be read: No such file"),
        (RULES, ("--file", str(LOG), "--ignore", "x"), "--ignore: "),
        (RULES, (), "Kafka"),
    ):
        done = tried(*arguments, draft=draft)
        assert done.returncode == 1
        assert done.stderr.startswith(b"clickwarden: ")
        assert said in done.stderr.decode()
        assert done.stderr.count(b"\n") == 1
