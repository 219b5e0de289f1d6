"""``scan``: a file is whole, however its lines are ordered."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
T = 1_600_000_020  # start of a window of 60 s
RULES = """
[[rule]]
name = "bot"
window = 60
threshold = 50
"""


def lines(user: str, count: int, time: float) -> list[str]:
    return [json.dumps({"user_id": user, "event": "view", "timestamp": time})] * count


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Of eve most clicks, and of bob all that take him over the threshold, stand behind a later minute."""
    (tmp_path / "rules.toml").write_text(RULES)
    path = tmp_path / "clicks.ndjson"
    told = lines("eve", 55, T) + lines("bob", 40, T) + lines("ann", 40, T)
    late = lines("eve", 5, T + 1) + lines("bob", 20, T + 1) + lines("ann", 5, T + 1)
    path.write_text("\n".join(told + lines("joe", 20, T + 65) + late + lines("joe", 20, T + 200) + late[:5]))
    return path


def run(log: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("CLICKWARDEN_")}
    return subprocess.run(
        (sys.executable, "-m", "faust", "-A", "app", "scan", str(log), *options),
        env=others | {"CLICKWARDEN_RULES": str(log.with_name("rules.toml")), "COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def scan(log: Path, *options: str) -> subprocess.CompletedProcess[str]:
    done = run(log, *options)
    assert done.returncode == 0, done.stderr
    assert "210 lines, 0 skipped; 2 incidents in 2 windows" in done.stderr
    return done


def test_each_case_is_printed_once_closed_with_its_final_figures(log: Path) -> None:
    anomalies = [json.loads(line) for line in scan(log, "--json").stdout.splitlines()]
    assert [(each["user_id"], each["count"], each["count_high"]) for each in anomalies] == [
        ("eve", 65, 65),
        ("bob", 60, 60),
    ]
    assert {(each["status"], each["revision"]) for each in anomalies} == {("closed", 0)}


def test_people_are_shown_the_same(log: Path) -> None:
    found = [line.split() for line in scan(log).stdout.splitlines() if not line.startswith(" ")]
    assert [(words[0], words[4]) for words in found] == [("closed", "eve"), ("closed", "bob")]
    assert found[0][5] == "65"


def test_an_attack_in_windows_that_overlap_is_one_entry(log: Path) -> None:
    log.with_name("rules.toml").write_text(f"{RULES}slide = 10\n")
    found = run(log)
    assert "210 lines, 0 skipped; 2 incidents in 12 windows" in found.stderr
    shown = [line.split() for line in found.stdout.splitlines()]
    assert [(words[0], words[4], words[5]) for words in shown[::3]] == [
        ("closed", "eve", "65"),
        ("closed", "bob", "60"),
    ]
    worst = "the worst of 6 windows from 2020-09-13 12:26:10Z to 12:28:00Z"
    assert [" ".join(words) for words in shown[1::3]] == [worst] * 2
    assert len(run(log, "--json").stdout.splitlines()) == 12


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_file_that_cannot_be_read_is_said_loudly(log: Path, options: tuple[str, ...]) -> None:
    read = log.read_text().splitlines()
    log.write_text("\n".join(read + [line.replace("user_id", "uid") for line in read]))
    done = run(log, *options)
    assert done.returncode == 3
    assert "420 lines, 210 skipped; 2 incidents in 2 windows" in done.stderr
    assert "BLIND: 210 of the 420 records (50 %) could not be counted: missing_field" in done.stderr
    assert "There is no user_id: did you mean CLICKWARDEN_FIELD_USER_ID=uid?" in done.stderr
    assert "BLIND" not in done.stdout
    assert len(done.stdout.splitlines()) == (2 if options else 4)
    log.write_text("\n".join(read + [line.replace("user_id", "uid") for line in read[1:]]))
    done = run(log, *options)
    assert done.returncode == 0
    said = "warning: 209 lines were skipped, most often because: missing_field. For example: {"
    assert said in done.stderr


def test_an_access_log_of_another_format_is_said_loudly(log: Path) -> None:
    line = '203.0.113.9 - - [18/May/2015:08:05:43 +0000] "GET / HTTP/1.1" 200 17\n'
    log.write_text(line * 5 + line.replace("[", "(") * 5)
    done = run(log)
    assert done.returncode == 3
    assert "5 of the 10 records (50 %) could not be counted: no line of an access log." in done.stderr
    assert "Each line must be in the format that most of the first lines are in" in done.stderr


def test_proxies_are_taken_for_no_clients_in_silence(log: Path) -> None:
    line = '{} - - [18/May/2015:08:05:43 +0000] "GET / HTTP/1.1" 200 17 "-" "-" "203.0.113.9"\n'
    log.write_text("".join(line.format(f"10.0.{number % 2 + 1}.10") for number in range(60)))
    done = run(log)
    assert "100 % of 60 requests are of 2 private addresses, such as 10.0.1.10" in done.stderr
    assert "--trusted-proxies names them" in done.stderr
    done = run(log, "--trusted-proxies", "10.0.0.0/8")
    assert "private addresses" not in done.stderr
    assert "203.0.113.9" in done.stdout


def test_what_the_rules_miss_is_warned_of(log: Path) -> None:
    rules = log.with_name("rules.toml")
    rules.write_text(RULES + RULES.replace('"bot"', '"logins"') + 'events = ["View!"]\n')
    done = run(log)
    assert done.returncode == 0
    assert "warning: Rule logins counts View!, and none of 210 clicks has been one" in done.stderr
    assert "did you mean view?" in done.stderr


def test_fields_are_named_by_options(log: Path) -> None:
    read = [json.loads(line) for line in log.read_text().splitlines()]
    table = log.with_suffix(".csv")
    rows = (f"{click['user_id']},{click['event']},{click['timestamp']}" for click in read)
    table.write_text("\n".join(["uid,what,at", *rows]))
    named = ("--user", "anonymous|uid", "--event", "what", "--time", "at")
    assert scan(table, *named).stdout == scan(log).stdout
    done = run(table, *named[2:])
    assert done.returncode == 1
    assert "has no column user_id (--user names another); its columns are uid, what, at" in done.stderr
    done = run(table, "--user", "@key")
    assert "--user: there is no @key in a file" in done.stderr
    log.write_text('203.0.113.9 - - [18/May/2015:08:05:43 +0000] "GET / HTTP/1.1" 200 17\n')
    assert "in an access log the user is the client's address" in run(log, "--user", "uid").stderr


def test_who_asks_for_files_alone_is_warned_of(log: Path) -> None:
    line = '{} - - [18/May/2015:08:05:43 +0000] "GET {} HTTP/1.1" 200 17 "-" "-"\n'
    hidden = [line.format("203.0.113.9", f"/p/{number}/x.css") for number in range(120)]
    pages = [
        line.format("203.0.113.7", path)
        for page in range(10)
        for path in (f"/p/{page}", *(f"/a{n}.png" for n in range(15)))
    ]
    log.write_text("".join(hidden + pages))
    said = run(log).stderr
    assert (
        "warning: 120 requests of 203.0.113.9 were left out as static files, against 0 that were counted: if "
        "that is no browser, --everything counts them. For example: /p/119/x.css"
    ) in said
    assert "as static files" not in run(log, "--everything").stderr
    log.write_text("".join(pages))
    assert "as static files" not in run(log).stderr


def test_the_example_has_three_crawlers(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_bytes((EXAMPLES / "rules.toml").read_bytes())
    (tmp_path / "access.log").write_bytes((EXAMPLES / "access.log").read_bytes())
    done = run(tmp_path / "access.log")
    found = [line.split()[4:6] for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert found == [["144.76.194.187", "31"], ["65.55.213.73", "39"], ["199.168.96.66", "38"]]
    assert done.stdout in (EXAMPLES.parent / "README.md").read_text()


CADDY = "request.remote_ip", "request.method", "ts"
#: Logs in JSON with the user, event and time that settings name, and whom and what is then counted.
NAMED_LOGS: dict[str, tuple[tuple[str, str, str], str]] = {
    "its client": (CADDY, "203.0.113.7 login"),
    "an account": (("user_id", *CADDY[1:]), "ann POST"),
}


@pytest.mark.parametrize(("places", "found"), NAMED_LOGS.values(), ids=NAMED_LOGS.keys())
def test_a_log_in_json_is_one_unless_another_user_is_named(
    tmp_path: Path, places: tuple[str, str, str], found: str
) -> None:
    (tmp_path / "rules.toml").write_text(RULES)
    request = {"remote_ip": "203.0.113.7", "method": "POST", "uri": "/login"}
    row = {"ts": T, "user_id": "ann", "request": request, "status": 200}
    log = tmp_path / "caddy.log"
    log.write_text(f"{json.dumps(row)}\n" * 60)
    names = dict(zip(("USER_ID", "EVENT", "TIMESTAMP"), places, strict=True))
    done = run(log, "--json", **{f"CLICKWARDEN_FIELD_{name}": place for name, place in names.items()})
    (anomaly,) = map(json.loads, done.stdout.splitlines())
    assert " ".join([anomaly["user_id"], *anomaly["events"]]) == found


def test_who_cannot_be_seen_is_told_of_inspect(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(RULES)
    visits = tmp_path / "visits.ndjson"
    visits.write_text('{"who": {"uid": 7}, "what": "view", "at": 1600000020}\n' * 60)
    done = run(visits)
    assert (done.returncode, done.stdout) == (3, "")
    assert "BLIND: None of the 60 records" in done.stderr
    assert done.stderr.endswith(
        "'faust -A app inspect FILE' says which settings read it, and --write .env writes them\n"
    )
    table = tmp_path / "visits.csv"
    table.write_text("who,what,at\n7,view,1600000020\n")
    assert "'faust -A app inspect FILE' says which of them hold what" in run(table).stderr


def test_a_file_has_no_time_of_kafkas_and_its_clicks_are_not_all_of_now(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(RULES)
    timeless = tmp_path / "clicks.ndjson"
    timeless.write_text('{"user_id": "ann", "event": "view"}\n' * 60)
    done = run(timeless, CLICKWARDEN_FIELD_TIMESTAMP="@timestamp")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("clickwarden: CLICKWARDEN_FIELD_TIMESTAMP=@timestamp is when Kafka")
    assert done.stderr.count("\n") == 1


def test_a_line_may_hold_several_clicks_as_a_record_of_the_topic_may(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(RULES)
    batches = tmp_path / "batches.ndjson"
    batches.write_text(f"[{', '.join(lines('eve', 20, T))}]\n" * 3)
    (anomaly,) = map(json.loads, run(batches, "--json").stdout.splitlines())
    assert (anomaly["user_id"], anomaly["count"]) == ("eve", 60)
