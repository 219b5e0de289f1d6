"""Who becomes worse inside a long window is told of, and blocked, before that is over."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clickwarden.channels.message import PERHAPS_TOLD
from tests.channels import Sink, sink
from tests.site import RULES, Site, Worker, clicks

pytestmark = pytest.mark.alone

Sites = Callable[..., Site]

ATTACKER = "203.0.113.9"
NEVER = 3600.0
CHANNEL = """
[[channel]]
name = "ops"
url = "webhook+http://{host}/"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
group_wait = 0
group_interval = 0
"""


def told(server: Sink) -> list[tuple[str, str]]:
    """Stage and severity of each message that came, but for those that say that they may be repeats."""
    messages = [(request.json["type"], request.json["data"]) for request in server.received]
    return [
        (stage.removeprefix("incident."), incident["severity"])
        for stage, data in messages
        for incident in data["incidents"]
        if data.get("mark") != PERHAPS_TOLD
    ]


def blocked(worker: Worker) -> set[str]:
    status, said = worker.ask("/api/v1/blocklist")
    return {each["value"] for each in said["blocks"]} if status == 200 else set()


def incident(worker: Worker) -> dict[str, Any]:
    (found,) = worker.ask("/api/v1/incidents")[1]["incidents"]
    assert isinstance(found, dict)
    return found


def test_who_becomes_worse_within_an_hour_is_told_of_and_blocked_within_it(
    site: Sites, tmp_path: Path
) -> None:
    moment = time.time()
    with sink() as server:
        channels = tmp_path / "channels.toml"
        channels.write_text(CHANNEL.format(host=server.host))
        rules = RULES.replace("window = 60", "window = 3600")
        here = site(rules=rules, idle_timeout=NEVER, channels=channels, block_severity="medium")

        def further(count: int) -> None:
            """Clicks of one moment, so that all are in one hour."""
            here.send(*clicks(ATTACKER, count, moment, moment))

        worker = here.start(checkpoint_interval=NEVER)
        further(60)
        here.until(lambda: told(server) == [("opening", "low")], worker)
        assert blocked(worker) == set()
        further(70)  # certainly 100 of them
        here.until(lambda: told(server)[1:] == [("escalation", "medium")], worker)
        here.until(lambda: blocked(worker) == {ATTACKER}, worker)
        further(60)
        worker.kill()
        assert here.committed()[0] == 0
        worker = here.start()
        further(900)  # over the fifth and the twentieth
        here.until(lambda: told(server)[-1] == ("escalation", "critical"), worker)
        here.until(lambda: incident(worker)["severity"] == "critical", worker)
        assert (incident(worker)["status"], incident(worker)["windows"]) == ("ongoing", 1)
        assert blocked(worker) == {ATTACKER}
        assert told(server)[2:] in (
            [("escalation", "high"), ("escalation", "critical")],
            [("escalation", "critical")],
        )

        said = here.anomalies()
        assert {each["status"] for each in said} == {"ongoing"}
        assert len({(each["alert_id"], each["incident_id"]) for each in said}) == 1
        steps = {(each["revision"], each["times"], each["count_low"]) for each in said}
        assert sorted(steps)[1:] == [(1, 2, 100), (2, 5, 250), (3, 20, 1000)]
        assert len(steps) == 4
        verdict = here.verdict()
        assert verdict.ok, verdict.examples
        assert verdict.repeats >= 2
