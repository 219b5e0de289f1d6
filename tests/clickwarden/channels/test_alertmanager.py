"""Against Prometheus' own Alertmanager."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from clickwarden.channels.alertmanager import AlertmanagerSender
from clickwarden.channels.message import Case, message_of, message_of_many
from clickwarden.errors import ChannelError
from clickwarden.times import isotime
from experiments.programs import find
from tests.channels import NASTY, UNSEEN, Reply, Sink, case, channel, sink

PAGE = "https://clickwarden.shop.example/"
SECONDS = 60.0
#: It tells a webhook, and Slack in its own words, at once.
CONFIGURATION = """
route: {{receiver: here, group_by: ['...'], group_wait: 0s, group_interval: 1s}}
receivers:
- name: here
  webhook_configs: [{{url: 'http://{host}/webhook', send_resolved: true}}]
  slack_configs: [{{api_url: 'http://{host}/slack', channel: '#ops', send_resolved: true}}]
"""


class Alertmanager:
    """One that runs.

    Attributes:
        host: where it is asked.
        told: what it tells on.
    """

    def __init__(self, host: str, told: Sink) -> None:
        self.host = host
        self.told = told

    def alerts(self) -> list[Any]:
        """Those that are active."""
        with urlopen(f"http://{self.host}/api/v2/alerts") as response:
            return json.load(response)  # type: ignore[no-any-return]

    def told_of(self, case: Case, status: str) -> list[Any]:
        """What it told the webhook of an incident."""
        told = [request.json for request in self.told.received if request.path == "/webhook"]
        return [
            alert
            for one in told
            for alert in one["alerts"]
            if alert["labels"]["incident_id"] == case.incident_id and alert["status"] == status
        ]


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    try:
        program = find("prometheus-alertmanager")
    except FileNotFoundError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("alertmanager")
    with socket.create_server(("127.0.0.1", 0)) as free:
        host = f"127.0.0.1:{free.getsockname()[1]}"
    with sink() as told:
        configuration = folder / "alertmanager.yml"
        configuration.write_text(CONFIGURATION.format(host=told.host))
        yield from _running(program, folder, configuration, Alertmanager(host, told))


def _running(
    program: str, folder: Path, configuration: Path, alertmanager: Alertmanager
) -> Iterator[Alertmanager]:
    arguments = [
        f"--config.file={configuration}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={alertmanager.host}",
        "--cluster.listen-address=",
    ]
    log = folder / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen([program, *arguments], stdout=output, stderr=output) as process,
    ):
        try:
            wait(lambda: _ready(alertmanager.host) or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield alertmanager
        finally:
            process.kill()


def _ready(host: str) -> bool:
    try:
        with urlopen(f"http://{host}/-/ready") as response:
            return response.status == 200  # type: ignore[no-any-return]
    except (URLError, OSError):
        return False


def now(incident_id: str, user_id: str = "203.0.113.9", **more: Any) -> Case:
    begun = datetime.now(UTC) - timedelta(seconds=60)
    since, last = (isotime((begun + timedelta(seconds=seconds)).timestamp()) for seconds in (0, 30))
    return case(user_id, incident_id=incident_id, since=since, last_seen=last, **more)


async def test_an_incident_is_an_alert_until_it_is_over(alertmanager: Alertmanager) -> None:
    incident = now("a" * 32, severity="high")
    sender = AlertmanagerSender(channel(f"alertmanager+http://{alertmanager.host}/"))
    opening = message_of(incident, "opening", PAGE)
    for _ in range(2):  # which is how it stays active
        assert (await sender.send(opening)).words.startswith("200 ")
    wait(lambda: alertmanager.told_of(incident, "firing"))
    (alert,) = [one for one in alertmanager.alerts() if one["labels"]["incident_id"] == incident.incident_id]
    assert alert["labels"] == {
        "alertname": "ClickwardenIncident",
        "rule": "bot",
        "category": "bot",
        "user": "203.0.113.9",
        "incident_id": "a" * 32,
    }
    assert alert["annotations"]["summary"] == opening.title
    assert "Normal: at most 50 clicks in 1 minute" in alert["annotations"]["description"]
    assert alert["annotations"]["severity"] == "high"
    assert alert["generatorURL"] == opening.link
    assert alert["status"]["state"] == "active"
    over = now("a" * 32, ongoing=False)
    await sender.send(message_of(over, "end", PAGE))
    wait(lambda: alertmanager.told_of(incident, "resolved"))
    assert incident.incident_id not in {one["labels"]["incident_id"] for one in alertmanager.alerts()}


async def test_of_five_hundred_each_is_an_alert(alertmanager: Alertmanager) -> None:
    cases = [now(f"{n:032x}", f"user-{n}") for n in range(500)]
    sender = AlertmanagerSender(channel(f"alertmanager+http://{alertmanager.host}"))
    await sender.send(message_of_many(cases, "burst", cases[0].last_seen, PAGE))
    found = {one["labels"]["incident_id"] for one in alertmanager.alerts()}
    assert {one.incident_id for one in cases} <= found


async def test_what_it_tells_slack_mentions_nobody(alertmanager: Alertmanager) -> None:
    """Its own words for Slack take labels as they are."""
    cases = [now(f"{n:031x}f", user_id) for n, user_id in enumerate(NASTY)]
    sender = AlertmanagerSender(channel(f"alertmanager+http://{alertmanager.host}"))
    for one in cases:
        await sender.send(message_of(one, "opening", ""))
    wait(lambda: all(alertmanager.told_of(one, "firing") for one in cases))

    def slack() -> list[str]:
        return [request.body.decode() for request in alertmanager.told.received if request.path == "/slack"]

    wait(lambda: all(any(one.incident_id in told for told in slack()) for one in cases))
    for told in slack():
        if any(one.incident_id in told for one in cases):
            content = json.loads(told)
            shown = json.dumps(content["attachments"], ensure_ascii=False)
            assert not {"<", ">", "@"} & set(shown)
            assert [sign for sign in UNSEEN if sign in shown] == []


async def test_who_asks_for_a_password_gets_it() -> None:
    with sink() as server:
        for url in (f"alertmanager+http://me@{server.host}/prefix/", f"alertmanager+http://{server.host}"):
            await AlertmanagerSender(channel(url, "geheim")).send(message_of(case(), "opening", ""))
    basic, bearer = server.received
    assert (basic.path, basic.headers["authorization"]) == ("/prefix/api/v2/alerts", "Basic bWU6Z2VoZWlt")
    assert (bearer.path, bearer.headers["authorization"]) == ("/api/v2/alerts", "Bearer geheim")


async def test_what_it_refuses_is_said(alertmanager: Alertmanager) -> None:
    sender = AlertmanagerSender(channel(f"alertmanager+http://{alertmanager.host}/elsewhere"))
    with pytest.raises(ChannelError, match="404 Not Found") as raised:
        await sender.send(message_of(case(), "opening", ""))
    assert raised.value.again is None
    with sink(lambda request: Reply(503)) as server, pytest.raises(ChannelError) as raised:
        await AlertmanagerSender(channel(f"alertmanager+http://{server.host}")).send(
            message_of(case(), "opening", "")
        )
    assert raised.value.again == 0
