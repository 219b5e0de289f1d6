"""The time machine finds what the worker found, says what a draft would have changed, and touches nothing."""

import asyncio
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Literal
from uuid import uuid4

import psutil
from rich.progress import Progress

from clickwarden.audit.told import Told
from clickwarden.audit.trial import Sides
from clickwarden.detection import rulesfile
from clickwarden.detection.anomaly import Anomaly
from commands.tried import Tried
from tests.site import RULES, Site, click, clicks, window_before

T = window_before(time.time())
SLIDING = RULES + "slide = 10\n"
LOGINS = '\n[[rule]]\nname = "logins"\nwindow = 20\nthreshold = 5\nevents = ["login"]\n'
CIRCUMSTANCES = ("emitted_at", "worker", "caught_up")

Sites = Callable[..., Site]
#: An anomaly by what names it, and its content.
Said = dict[tuple[str, str, int], dict[str, Any]]


class Heard(Told):
    """Keeps all it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.said: Said = {}

    def take(self, anomalies: Iterable[Anomaly], since: float) -> None:
        found = list(anomalies)
        for anomaly in found:
            fields = {name: getattr(anomaly, name) for name in anomaly.__struct_fields__}
            self.said[_name(fields)] = _content(fields)
        super().take(found, since)


def _name(anomaly: dict[str, Any]) -> tuple[str, str, int]:
    return anomaly["alert_id"], anomaly["status"], anomaly["revision"]


def _content(anomaly: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in anomaly.items() if name not in CIRCUMSTANCES}


def tried(topic: Site, rules: str) -> Sides:
    """What the rules that were in force tell, and what these would have."""
    draft = [draft.rule for draft in rulesfile.parse(rules.encode(), "draft")]
    found = Tried(topic.settings, draft, None, Progress(disable=True))
    found.sides = Sides(Heard(), Heard())
    asyncio.run(found.topic(None))
    return found.sides


def worker_said(topic: Site) -> Said:
    return {_name(anomaly): _content(anomaly) for anomaly in topic.anomalies()}


def closing(minute: int) -> list[bytes]:
    """Clicks after which all windows that began before this minute's end are closed."""
    return [click("ann", T + 60 * minute + 130)] * 5


def same(topic: Site, told: Told) -> Said:
    assert isinstance(told, Heard)
    said = worker_said(topic)
    assert told.said == said
    return said


def test_it_finds_exactly_what_the_worker_found_over_changes_slides_late_clicks_and_silence(
    site: Sites,
) -> None:
    topic = site(rules=SLIDING + LOGINS, partitions=2, idle_timeout=1, lateness=0)
    worker = topic.start()
    for number in (0, 1):
        topic.send(*clicks(f"eve-{number}", 90, T + 20, T + 59), partition=number)
        topic.send(*clicks(f"joe-{number}", 20, T + 57, T + 60, "login"), partition=number)
    # Nothing comes, and wall clock closes windows that clicks still come for.
    topic.until(lambda: "joe-1" in {each["user_id"] for each in topic.anomalies("closed")}, worker)
    for number in (0, 1):
        topic.send(*clicks(f"joe-{number}", 4, T + 57, T + 60, "login"), partition=number)
        topic.send(*clicks(f"late-{number}", 40, T + 1, T + 20), partition=number)
    topic.await_counted(worker)
    topic.put(SLIDING.replace("50", "30") + LOGINS)
    for number in (0, 1):
        topic.send(*clicks(f"eve-{number}", 45, T + 61, T + 110), *closing(1), partition=number)
        topic.send(*clicks(f"late-{number}", 40, T + 2, T + 20), *closing(2), partition=number)
    topic.await_counted(worker)
    topic.put(RULES.replace("50", "45"))
    for number in (0, 1):
        topic.send(*clicks(f"eve-{number}", 46, T + 300, T + 320), *closing(10), partition=number)
        topic.send(*closing(20), partition=number)
    topic.await_counted(worker)
    said = same(topic, tried(topic, RULES).before)
    assert {status for _, status, _ in said} == {"ongoing", "closed", "corrected"}
    assert {each["threshold"] for each in said.values()} == {50, 30, 45, 5}
    assert topic.verdict().excused
    assert topic.verdict().ok


def test_the_rules_in_force_as_a_draft_tell_what_they_told(site: Sites) -> None:
    topic = site(rules=SLIDING + LOGINS)
    worker = topic.start()
    topic.send(*clicks("joe", 9, T, T + 9, "login"), *clicks("eve", 90, T + 9, T + 70))
    topic.send(*closing(1), *closing(3))
    topic.await_counted(worker)
    for draft in (SLIDING + LOGINS, SLIDING.replace("width", "") + LOGINS.replace("20", "10")):
        sides = tried(topic, draft)
        same(topic, sides.before)
    assert same(topic, tried(topic, SLIDING + LOGINS).draft)


def asked(topic: Site, rules: str, *options: str) -> Any:
    """What the command says of a draft, as JSON."""
    done = topic.run("rules", "try", str(topic.write("draft.toml", rules)), "--json", *options)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_a_lower_threshold_says_who_would_be_new_and_who_gone_and_changes_nothing(site: Sites) -> None:
    topic = site(rules=RULES + LOGINS, partitions=2)
    worker = topic.start()
    topic.send(*clicks("eve", 90, T, T + 50), *clicks("ann", 40, T, T + 50), b"no click")
    topic.send(*clicks("\x1b[2Jjoe", 9, T, T + 9, "login"), *closing(1), partition=1)
    topic.await_counted(worker)
    worker.terminate()
    before = state(topic)
    draft = RULES.replace("50", "30")
    found = asked(topic, draft)
    rules = {rule["rule"]: rule for rule in found["rules"]}
    users = {name: (rule["before"]["users"], rule["draft"]["users"]) for name, rule in rules.items()}
    assert users == {"bot": (1, 2), "logins": (1, 0)}
    assert (found["new"], found["gone"], found["changed"]) == (1, 1, True)
    assert [(case["user_id"], case["count"], case["threshold"]) for case in found["newest"]] == [
        ("ann", 40, 30)
    ]
    assert [(case["rule"], case["user_id"]) for case in found["lost"]] == [("logins", "\x1b[2Jjoe")]
    assert (found["clicks"], found["rejected"]) == (144, {"not_json": 1})
    assert found["against"] == "the rules in force (change 1)"
    labels = topic.write("labels.csv", "user_id,label\neve,bot\nann,human\nbob,bot\n")
    scores = asked(topic, draft, "--labels", str(labels))["labels"]
    assert {side: (score["precision"], score["recall"]) for side, score in scores.items()} == {
        "before": (1, 1),
        "draft": (0.5, 1),
    }
    said = topic.run("rules", "try", str(topic.folder / "draft.toml")).stdout
    assert "\\x1b[2Jjoe  9 clicks in the window from " in said
    assert "\x1b" not in said
    assert "1 cannot be counted: not_json" in said
    assert "nothing would change" in topic.run("rules", "try", str(topic.settings.rules)).stdout
    assert state(topic) == before


def state(topic: Site) -> tuple[dict[str, list[tuple[int, int]]], set[str]]:
    """First offset and end of every partition there is, and the groups."""
    listed = topic.admin.list_topics(timeout=10).topics
    ours = [name for name in listed if not name.startswith("__")]
    offsets = {
        name: [topic.ends(name, number) for number in sorted(listed[name].partitions)] for name in ours
    }
    groups = topic.admin.list_consumer_groups(request_timeout=10).result().valid
    return offsets, {group.group_id for group in groups}


def test_since_leaves_out_what_is_older_and_windows_that_are_not_whole(site: Sites) -> None:
    topic = site()
    topic.create(**{"message.timestamp.type": "CreateTime"})
    topic.start().terminate()
    now = int(time.time()) // 60 * 60
    for user, start in (("old", now - 7200), ("cut", now - 3720), ("new", now - 600)):
        for value in clicks(user, 540, start, start + 360):  # 90 in each window
            topic.send(value, timestamp=int(json.loads(value)["timestamp"] * 1000))
    found = asked(topic, RULES.replace("50", "89"), "--since", "1h")
    assert (found["before"]["users"], found["partial"], found["changed"]) == (2, True, False)
    assert 8 <= found["before"]["windows"] < 12
    assert asked(topic, RULES)["before"]["windows"] == 18
    assert asked(topic, RULES.replace("50", "30"), "--since", "1m")["clicks"] == 0
    done = topic.run("rules", "try", str(topic.settings.rules), "--since", "1s")
    assert "no clicks: there is nothing to try the draft on" in done.stdout


def decoding_of(trial: subprocess.Popen[bytes]) -> psutil.Process | Literal[False]:
    """The process that decodes for it; others begin and end as it starts."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(trial.pid).children():
            if "agents.decoding" in child.cmdline():
                return child
    return False


def test_ctrl_c_says_how_far_it_got_and_leaves_nothing_running(site: Sites) -> None:
    topic = site()
    topic.start().terminate()
    topic.send(*clicks("eve", 150_000, T, T + 3000))
    trial = topic.launch_command("rules", "try", str(topic.settings.rules))
    decoding = topic.until(lambda: decoding_of(trial))
    decoding.suspend()  # so that it cannot come to its end
    assert os.getpgid(decoding.pid) != os.getpgid(trial.pid)  # a terminal's Ctrl-C is not for both
    trial.send_signal(signal.SIGINT)
    assert trial.wait(20) == 130
    said = (topic.folder / "log").read_text()
    assert re.fullmatch(r"stopped: [0-9,]+ of 150,000 clicks were counted; nothing was changed\n", said)
    assert not decoding.is_running()
    trial = topic.launch_command("rules", "try", str(topic.settings.rules))
    decoding = topic.until(lambda: decoding_of(trial))
    decoding.kill()
    assert trial.wait(20) == 1
    assert (topic.folder / "log").read_text().splitlines()[1:] == [
        "clickwarden: the decoding process was killed by signal 9; what it had is counted at the next start"
    ]


def test_what_is_wrong_is_one_sentence(site: Sites) -> None:
    topic = site()
    file = topic.write("wrong.toml", RULES.replace("50", "0"))
    for arguments, said in (
        ((str(file),), f"{file}, line 5: rule 'bot': threshold: 0 must be at least 1"),
        ((str(topic.settings.rules), "--since", "soon"), "--since soon: is no span of time; write 90m, 12h,"),
        ((str(topic.settings.rules),), f"has no topic '{topic.settings.clicks_topic}'"),
    ):
        done = topic.run("rules", "try", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


def test_what_a_transaction_took_back_or_may_yet_commit_is_not_counted(site: Sites) -> None:
    topic = site()
    topic.start().terminate()
    topic.send(*clicks("eve", 10, T, T + 10))
    for end in ("abort_transaction", "commit_transaction", "flush"):
        by = topic.producer(**{"transactional.id": uuid4().hex})
        by.init_transactions()
        by.begin_transaction()
        topic.send(*clicks("eve", 5, T, T + 10), by=by)
        getattr(by, end)()
    topic.send(*clicks("eve", 3, T, T + 10))
    assert asked(topic, RULES.replace("50", "14"))["newest"][0]["count"] == 15
