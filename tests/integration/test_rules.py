"""Rules are changed while workers run: at once, exactly, by whom and why; what is wrong changes nothing."""

import json
import time
from collections.abc import Callable
from functools import partial

import pytest

from clickwarden.detection import adoption
from tests.site import RULES, Site, click, clicks, window_before

#: From the moment on when a change is in the topic until every partition has taken it up.
TAKEN_UP_SECONDS = 2.0
T = window_before(time.time())
STRICT = RULES.replace("threshold = 50", "threshold = 20")
TEST = '[[rule.test]]\nname = "one is nobody"\nclicks = [{ user = "ann" }]\nexpect = []\n'
LOGINS = '[[rule]]\nname = "logins"\nwindow = 60\nthreshold = 5\nevents = ["login"]\n'

Sites = Callable[..., Site]


def closing(minute: int) -> bytes:
    """A click after which the minute is closed."""
    return click("ann", T + 60 * minute + 65)


def right(topic: Site) -> None:
    verdict = topic.verdict()
    assert verdict.ok, verdict.examples
    assert verdict.accounted
    assert verdict.expected == verdict.reported > 0


def told(topic: Site) -> dict[int, list[adoption.Adoption]]:
    """Since when which rules are in force, by partition."""
    rows: dict[int, tuple[str, bytes]] = {}
    for record in topic.read(topic.settings.rules_topic):
        kind, number, *owner = (record.key or b"").decode().split("/", 2)
        if kind == "adopted" and record.value and owner[0] >= rows.get(int(number), ("", b""))[0]:
            rows[int(number)] = owner[0], record.value
    return {number: adoption.load(row) for number, (_, row) in rows.items()}


def thresholds(topic: Site, partition: int = 0) -> list[int]:
    return [rules[0].threshold for _, rules in told(topic)[partition]]


def has_changes(topic: Site, number: int) -> bool:
    return topic.changes() == number


@pytest.mark.alone
def test_a_change_under_two_workers_is_taken_up_at_once_and_drops_no_count(site: Sites) -> None:
    topic = site(partitions=4)
    one, two = topic.launch("one"), topic.launch("two")
    topic.until(lambda: one.ready and two.ready and len(two.partitions()) == 2, one, two)
    for number in range(4):
        topic.send(*clicks(f"eve-{number}", 30, T, T + 30), partition=number)
    topic.await_counted(one, two)
    said = topic.put(STRICT)
    seconds = float(said.split("taken up in all partitions after ")[1].split(" s")[0])
    print(f"taken up by two workers after {seconds} s")
    assert seconds <= TAKEN_UP_SECONDS
    for number in range(4):
        topic.send(
            click(f"eve-{number}", T + 31),
            closing(0),
            *clicks(f"eve-{number}", 30, T + 66, T + 119),
            closing(1),
            partition=number,
        )
    topic.await_counted(one, two)
    assert {(each["threshold"], each["count"]) for each in topic.anomalies("closed")} == {(20, 30)}
    assert {number: thresholds(topic, number) for number in range(4)} == {
        number: [50, 20] for number in range(4)
    }
    right(topic)


def test_a_window_ends_under_the_rule_it_began_with_over_kill_9_in_the_middle_of_changes(
    site: Sites,
) -> None:
    topic = site()
    for minute, threshold in enumerate((40, 30, 20, 45)):
        worker = topic.start()
        begin = T + 120 * minute
        topic.send(*clicks("eve", 35, begin, begin + 40), *clicks("joe", 25, begin, begin + 40))
        changing = topic.launch_command(
            "rules", "put", str(topic.write(f"{minute}.toml", RULES.replace("50", str(threshold))))
        )
        topic.until(partial(has_changes, topic, minute + 2), worker)
        worker.kill()
        changing.wait(60)
        topic.send(*clicks("joe", 15, begin + 45, begin + 55), click("ann", begin + 115))
    topic.await_counted(topic.start())
    right(topic)
    found = {(each["user_id"], each["threshold"]) for each in topic.anomalies()}
    assert found == {("eve", 30), ("joe", 30), ("eve", 20), ("joe", 20)}
    assert thresholds(topic) == [50, 40, 30, 20, 45]


def test_what_is_wrong_is_refused_and_changes_nothing(site: Sites) -> None:
    topic = site()
    topic.start()
    test = '\n[[rule.test]]\nname = "few"\nclicks = [{ user = "eve", times = 51 }]\nexpect = []\n'
    for content, said in (
        (RULES.replace("50", "0"), "line 5: rule 'bot': threshold: 0 must be at least 1"),
        (RULES + RULES, "line 8: rule 'bot': name: two rules are named 'bot'; call this one something else"),
        (RULES + test, "line 7: rule 'bot': test 'few': expected nobody, came eve with 51 clicks; mend the"),
        ("#" * 10_000_000, "has 10,000,000 bytes, and a file of rules at most 262,144; is it another file?"),
    ):
        file = topic.write("wrong.toml", content)
        done = topic.run("rules", "put", str(file))
        assert done.returncode == 1
        assert f"{file}" in done.stderr
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
    assert topic.run("rules", "disable", "bits").stderr == (
        "clickwarden: bits: there is no rule of that name; there are bot\n"
    )
    assert "is the only rule in force" in topic.run("rules", "disable", "bot").stderr
    assert topic.changes() == 1
    assert thresholds(topic) == [50]


def test_list_and_history_say_what_is_in_force_where_by_whom_and_why(site: Sites) -> None:
    topic = site()
    worker = topic.start()
    topic.send(*clicks("eve", 10, T, T + 30))
    topic.await_counted(worker)
    assert "bot, logins in force" in topic.put(RULES + LOGINS)
    done = topic.run("rules", "disable", "logins", "--why", "false alarms")
    assert "change 3: disable logins; bot in force" in done.stdout
    listed = topic.run("rules", "list").stdout
    assert "partition 0: change 3 from offset 10 on" in listed
    assert "disabled" in listed
    bot, logins = map(json.loads, topic.run("rules", "list", "--json").stdout.splitlines())
    assert (bot["name"], bot["in_force"], bot["rule"]["threshold"]) == ("bot", True, 50)
    assert (logins["name"], logins["in_force"], logins["change"]) == ("logins", False, 3)
    assert bot["partitions"] == logins["partitions"] == {"0": {"change": 3, "offset": 10}}
    history = topic.run("rules", "history").stdout
    assert "false alarms" in history
    assert "the topic was empty" in history
    changes = [json.loads(line) for line in topic.run("rules", "history", "--json").stdout.splitlines()]
    assert [(each["number"], each["in_force"]) for each in changes] == [
        (1, ["bot"]), (2, ["bot", "logins"]), (3, ["bot"]),
    ]  # fmt: skip
    assert changes[2]["why"] == "false alarms"
    topic.send(*clicks("eve", 10, T + 61, T + 90, "login"), closing(1))
    topic.await_counted(worker)
    assert topic.anomalies() == []
    assert "change 4: put" in topic.put(RULES + LOGINS)
    assert "these rules are in force already, by change 4" in topic.put(RULES + LOGINS)
    assert "change 5: put" in topic.put(RULES + LOGINS + TEST)  # a test is written down, too


def test_an_empty_topic_begins_with_the_file_and_then_the_topic_wins(site: Sites) -> None:
    topic = site()
    topic.start().terminate()
    topic.settings.rules.write_text(STRICT)
    worker = topic.start()
    file = topic.settings.rules
    assert f"{file} is not what is in force" in worker.log
    assert [rule["threshold"] for rule in worker.ask("/api/v1/rules")[1]] == [50]
    worker.terminate()
    file.unlink()
    worker = topic.start("two")
    assert f"{file}: no such file" in worker.log
    assert [rule["threshold"] for rule in worker.ask("/api/v1/rules")[1]] == [50]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (RULES.replace("50", "0"), "rules.toml, line 5: rule 'bot': threshold"),
        ("", "rules.toml: holds no rule"),
        (None, "rules.toml: no such file of rules; write one"),
    ],
)
def test_an_empty_topic_does_not_begin_with_a_file_that_is_wrong(
    site: Sites, content: str | None, said: str
) -> None:
    topic = site(rules=content or "")
    if content is None:
        topic.settings.rules.unlink()
    code, log = topic.launch().failed()
    assert code == 1
    assert "clickwarden: " in log
    assert said in log
    assert "Traceback" not in log
    assert topic.changes() == 0


def test_a_rule_of_a_newer_release_is_left_out_and_stops_nothing(site: Sites) -> None:
    topic = site()
    worker = topic.start()
    newer = {"name": "newer", "window": 60, "threshold": 5, "slope": 3}
    change = {
        "number": 2,
        "rules": [newer, {"name": "bot", "window": 60, "threshold": 20}],
        "what": "put",
        "who": "ann",
        "when": "2026-01-01T00:00:00Z",
        "later": True,
    }
    topic.send(json.dumps(change).encode(), key=b"change/2/abc", topic=topic.settings.rules_topic)
    topic.send(b"no change", key=b"change/3/abc", topic=topic.settings.rules_topic)
    topic.until(lambda: thresholds(topic)[-1] == 20, worker)
    assert "Rule newer of change 2 cannot be read by this release, and is left out" in worker.log
    topic.send(*clicks("eve", 30, T, T + 50), closing(0))
    topic.await_counted(worker)
    assert [each["threshold"] for each in topic.anomalies("closed")] == [20]
    right(topic)
    # What this release cannot read stays in the topic, for those that can.
    assert "left out" in topic.run("rules", "list").stdout
    told = json.dumps([[newer], [[0, [0]]]]).encode()
    topic.send(told, key=b"adopted/0/9999999999/0000", topic=topic.settings.rules_topic)
    assert "partition 0: rules that this release cannot read" in topic.run("rules", "list").stdout


def test_of_two_changes_at_once_the_second_is_none(site: Sites) -> None:
    topic = site()
    worker = topic.start()
    for threshold in (20, 30):
        change = {
            "number": 2,
            "rules": [{"name": "bot", "window": 60, "threshold": threshold}],
            "what": "put",
            "who": "ann",
            "when": "2026-01-01T00:00:00Z",
        }
        key = f"change/2/{threshold}".encode()
        topic.send(json.dumps(change).encode(), key=key, topic=topic.settings.rules_topic)
    topic.put(RULES.replace("50", "40"))
    topic.until(lambda: thresholds(topic)[-1] == 40, worker)
    assert 30 not in thresholds(topic)


def test_junk_in_the_topic_stops_no_worker_at_its_start(site: Sites) -> None:
    topic = site()
    topic.start().terminate()
    junk = {
        b"change/2/abc": b'{"number": 2, "rules": [], "what": "\xff", "who": "eve", "when": "now"}',
        b"change/2/abd": b'{"number": ' + b"[" * 100_000,
        b"adopted/" + b"9" * 5000 + b"/0000000001/0000": b"[]",
        b"adopted/0/\xff": b"[]",
        b"adopted/0/0000099999/0000": b"[[],[[0,[7]]]]",
    }
    for key, value in junk.items():
        topic.send(value, key=key, topic=topic.settings.rules_topic)
    worker = topic.start("two")
    topic.send(*clicks("eve", 60, T, T + 50), closing(0))
    topic.await_counted(worker)
    assert [each["threshold"] for each in topic.anomalies("closed")] == [50]
    listed = topic.run("rules", "list").stdout
    assert "partition 0: rules that this release cannot read" in listed
    topic.put(RULES.replace("50", "40"))
    topic.until(lambda: [rule["threshold"] for rule in worker.ask("/api/v1/rules")[1]] == [40], worker)
