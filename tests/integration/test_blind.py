"""A worker that cannot count what comes says so everywhere, within seconds, and never says quiet."""

import json
import time
from collections.abc import Callable

import pytest

from tests.site import Site, Worker, click, clicks, minute_over

Sites = Callable[..., Site]

#: Records that are no click, for a reason that an operator can mend.
UNREADABLE = [
    b'{"user_id": true, "event": "view", "timestamp": %d}' % (1_773_152_400 + n) for n in range(200)
]
CURE = "user_id must be text or a whole number, and is true or false."
SUMMARY = "None of the last 200 records could be counted: wrong_field (a field has the wrong type)"
RULES = """
[[rule]]
name = "bot"
window = 60
threshold = 50

[[rule]]
name = "logins"
window = 60
threshold = 15
events = ["login"]
"""


@pytest.mark.alone
def test_all_of_it_unreadable_is_said_everywhere_within_seconds(site: Sites) -> None:
    here = site(partitions=2, idle_timeout=3600)
    worker = here.start()
    here.until(lambda: worker.ask("/api/v1/now")[1]["verdict"]["state"] == "quiet", worker)
    assert here.run("alerts").stdout == "no anomalies yet\n"

    sent = time.monotonic()
    here.send(*UNREADABLE)
    here.until(lambda: worker.ask("/api/v1/now")[1]["verdict"]["blind"], worker, seconds=5)
    here.until(lambda: "Blind: None" in worker.log, worker, seconds=5)
    assert worker.ask("/ready") == (503, {"state": "blind", "detail": SUMMARY})
    assert worker.ask("/health") == (200, {"state": "alive"})
    assert worker.metrics() >= {
        "clickwarden_blind 1.0",
        "clickwarden_ready 0.0",
        'clickwarden_rejected_total{partition="0",reason="wrong_field"} 200.0',
    }
    assert time.monotonic() - sent < 5

    now = worker.ask("/api/v1/now")[1]
    assert now["verdict"]["state"] == "unknown"
    for text in (now["verdict"]["text"], worker.log.partition("Blind: ")[2].splitlines()[0]):
        assert text.startswith(f"{SUMMARY}. {CURE} For example: {{")
    health = now["health"]
    assert (health["blindness"]["share"], health["blindness"]["complaint"]["reason"]) == (1.0, "wrong_field")
    assert health["impaired"] == ["100 % of the records cannot be counted"]
    assert [each["state"] for each in health["workers"]] == ["blind"]

    for command in ("verify",), ("verify", "--json"):
        done = here.run(*command)
        assert done.returncode == 3, done.stderr
        assert CURE in done.stdout.replace('\\"', '"')
        assert "OK" not in done.stdout
    told = json.loads(done.stdout)
    assert (told["ok"], told["rejected"], told["blindness"]["summary"]) == (True, 200, SUMMARY)
    done = here.run("alerts")
    assert done.returncode == 0
    assert done.stdout.startswith(f"BLIND: {SUMMARY}. {CURE}")

    worker.kill()
    successor = here.launch()  # a restart is no cure
    here.until(lambda: _state(successor) == "blind", successor)
    # Nor a hindrance: what can be counted is, and enough of it is the end of it.
    here.send(*clicks("eve", 60, minute_over(), minute_over() + 8))
    seen = "200 of the 260 records (76 %) could not be counted"
    here.until(lambda: seen in successor.ask("/api/v1/now")[1]["verdict"]["text"], successor)
    attacked = successor.ask("/api/v1/now")[1]
    assert (attacked["verdict"]["state"], attacked["verdict"]["blind"]) == ("attack", False)
    assert attacked["verdict"]["text"].startswith("1 attack; the worst: eve, ")
    assert attacked["health"]["impaired"] == ["76 % of the records cannot be counted"]
    here.send(*clicks("ann", 30, minute_over(), minute_over() + 8))
    here.until(lambda: successor.ready, successor)
    here.until(lambda: not successor.ask("/api/v1/now")[1]["health"]["impaired"], successor)


def _state(worker: Worker) -> str:
    try:
        return worker.state
    except OSError:
        return ""


def test_a_rule_that_nobody_can_break_is_warned_of(site: Sites) -> None:
    here = site(rules=RULES, idle_timeout=3600)
    worker = here.start()
    start = minute_over()
    here.send(
        *(value for number in range(8) for value in clicks(f"ann-{number}", 30, start, start + 30, "Login"))
    )
    (warning,) = here.until(lambda: worker.ask("/api/v1/now")[1]["health"]["warnings"], worker)
    assert warning == (
        "Rule logins counts login, and none of 240 clicks has been one; seen were Login; did you mean Login?"
    )
    assert worker.ask("/api/v1/now")[1]["verdict"]["state"] == "quiet"
    here.until(lambda: [each["warning"] for each in worker.ask("/api/v1/rules")[1]] == ["", warning], worker)
    here.await_counted(worker)
    done = here.run("verify")
    assert done.returncode == 0, done.stdout
    assert f"warning: {warning}" in done.stdout
    here.send(click("ann", start + 31, "login"))
    here.until(lambda: not worker.ask("/api/v1/now")[1]["health"]["warnings"], worker)


def test_a_broken_sender_among_several_is_a_figure(site: Sites) -> None:
    here = site(idle_timeout=3600)
    worker = here.start()
    start = minute_over()
    here.send(*UNREADABLE[:40], *clicks("ann", 45, start, start + 50), click("joe", start))
    here.until(lambda: worker.ask("/api/v1/now")[1]["health"]["accepted"] == 46, worker)
    now = worker.ask("/api/v1/now")[1]
    assert (now["verdict"]["state"], now["health"]["impaired"], now["health"]["blindness"]) == (
        "quiet",
        [],
        None,
    )
    here.until(lambda: "40 records could not be counted: wrong_field" in worker.log, worker)
    assert worker.log.count("could not be counted") == 1
