"""Whom a real worker has blocked: its API, CrowdSec's bouncers, and the bouncer of Debian itself."""

import asyncio
import json
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from clickwarden.detection import rulesfile
from clickwarden.detection.allowlist import Allowance
from experiments.programs import find
from tests.site import Site, Worker, clicks, put_rules

SiteFactory = Callable[..., Site]

KEY, OTHER = "k" * 32, "o" * 32
ATTACKER = "203.0.113.9"
BOUNCER = "crowdsec-nginx-bouncer/v1.0.8"
CONFIGURATION = """
bin_path: {script}
api_url: http://127.0.0.1:{port}/
api_key: {key}
update_frequency: 1s
cache_retention_duration: 1s
daemonize: false
log_mode: stdout
log_level: info
prometheus: {{enabled: false}}
"""
SCRIPT = """#!/bin/sh
echo "$1 $2 $3 $4" >>{calls}
"""


def text(worker: Worker, form: str) -> tuple[int, str]:
    with closing(HTTPConnection("127.0.0.1", worker.settings.web_port, timeout=10)) as connection:
        connection.request("GET", f"/api/v1/blocklist?format={form}")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def ask(
    worker: Worker, path: str, key: str | None = KEY, method: str = "GET", agent: str = BOUNCER, **query: str
) -> tuple[int, Any]:
    """As a bouncer asks."""
    headers = {"User-Agent": agent} | ({} if key is None else {"X-Api-Key": key})
    with closing(HTTPConnection("127.0.0.1", worker.settings.web_port, timeout=10)) as connection:
        connection.request(method, f"/v1/decisions{path}?{urlencode(query)}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, json.loads(body) if body else None


def stream(worker: Worker, startup: bool = False, key: str = KEY, **query: str) -> tuple[set[str], set[str]]:
    """The values that a bouncer is told of: new, and deleted."""
    status, said = ask(worker, "/stream", key, startup=str(startup).lower(), **query)
    assert status == 200, said
    new, deleted = ({each["value"] for each in said[name]} for name in ("new", "deleted"))
    return new, deleted


def allow(here: Site, user: str) -> None:
    allowance = Allowance(users=[user], reason="it is ours")
    asyncio.run(put_rules(here.settings, rulesfile.load(here.settings.rules), allow=[allowance]))


def blocked(worker: Worker) -> set[str]:
    status, said = worker.ask("/api/v1/blocklist")
    return {each["value"] for each in said["blocks"]} if status == 200 else set()


def attack(here: Site, user: str, count: int = 400, ago: float = 0) -> None:
    """Eight times the threshold, so many seconds ago."""
    now = time.time() - ago
    here.send(*clicks(user, count, now, now))


def test_who_attacks_is_blocked_as_every_format_and_bouncer_is_told(site: SiteFactory) -> None:
    hostile = "203.0.113.11;\nallow all"
    here = site(block_severity="high", block_keys=f"{KEY},{OTHER}")
    worker = here.start()
    here.until(lambda: worker.ask("/api/v1/blocklist")[0] == 200, worker)
    assert worker.ask("/api/v1/blocklist")[1]["blocks"] == []
    assert stream(worker, startup=True) == stream(worker, startup=True, key=OTHER) == (set(), set())

    allow(here, "203.0.113.7")
    attack(here, "203.0.113.8", count=60)  # of low severity
    for user in (ATTACKER, "::ffff:203.0.113.10", hostile, "10.0.0.9", "203.0.113.7"):
        attack(here, user)
    here.until(lambda: len(blocked(worker)) == 3, worker)
    everybody = {ATTACKER, "203.0.113.10", hostile}
    status, said = worker.ask("/api/v1/blocklist")
    assert (status, said["state"], said["severity"]) == (200, "live", "high")
    assert {each["value"]: each["scope"] for each in said["blocks"]} == {
        ATTACKER: "Ip", "203.0.113.10": "Ip", hostile: "Username",
    }  # fmt: skip
    assert said["left_out"] == ["1 user of private networks, of this machine or of nobody"]
    (incident,) = [each for each in here.incidents().values() if each["user_id"] == ATTACKER]
    (block,) = [each for each in said["blocks"] if each["value"] == ATTACKER]
    assert (block["incident_id"], block["times"]) == (incident["incident_id"], 1)

    status, nginx = text(worker, "nginx")
    assert status == 200
    assert {line for line in nginx.splitlines() if not line.startswith("#")} == {
        f"deny {ATTACKER}/32;", "deny 203.0.113.10/32;",
    }  # fmt: skip
    assert "1 user without an address" in nginx
    assert text(worker, "csv")[0] == 400

    # Each bouncer has its own place; users who are no address only where they are asked for.
    assert stream(worker) == (everybody - {hostile}, set())
    assert stream(worker) == (set(), set())
    assert stream(worker, key=OTHER, scopes="ip,range,username") == (everybody, set())
    assert stream(worker, startup=True)[0] == everybody - {hostile}
    status, found = ask(worker, "", ip=ATTACKER)
    assert status == 200
    (decision,) = found
    assert decision["duration"].startswith("3h59m")
    assert (decision["type"], decision["scenario"]) == ("ban", "clickwarden/bot")
    assert ask(worker, "", ip="203.0.113.1") == (200, None)
    assert ask(worker, "", ip="eve")[0] == 400
    assert ask(worker, "", method="HEAD") == (200, None)
    for key in (None, "", "k" * 31, KEY + "k"):
        assert ask(worker, "/stream", key) == (403, {"message": "access forbidden"})
    bouncers = worker.ask("/api/v1/blocklist")[1]["bouncers"]
    assert {(each["type"], each["version"]) for each in bouncers} == {("crowdsec-nginx-bouncer", "v1.0.8")}
    assert len(bouncers) == 2

    # Who is allowed later is blocked no more.
    allow(here, ATTACKER)
    here.until(lambda: ATTACKER not in blocked(worker), worker)
    assert stream(worker) == (set(), {ATTACKER})

    # After a restart who has asked before is told again, and of who is over too.
    worker.kill()
    worker = here.launch()
    here.until(lambda: worker.alive and _answers(worker), worker)
    early = ask(worker, "/stream")
    assert early[0] in (200, 503)
    here.until(lambda: blocked(worker) == everybody - {ATTACKER}, worker)
    assert stream(worker, key=OTHER)[0] == {"203.0.113.10"}
    assert ATTACKER in stream(worker, startup=True)[1]


def _answers(worker: Worker) -> bool:
    try:
        return worker.ask("/health")[0] == 200
    except OSError:
        return False


def test_it_is_off_unless_asked_for(site: SiteFactory) -> None:
    here = site()
    worker = here.start()
    status, said = worker.ask("/api/v1/blocklist")
    assert (status, said["state"], said["blocks"]) == (200, "off", [])
    assert "CLICKWARDEN_BLOCK_SEVERITY=high" in said["detail"]
    assert text(worker, "nginx")[0] == 404
    assert ask(worker, "/stream")[0] == 404
    for user in (ATTACKER, "203.0.113.10"):
        attack(here, user)
    severe = {"high", "critical"}  # once its window is closed
    here.until(
        lambda: [each["severity"] in severe for each in here.incidents().values()] == [True] * 2, worker
    )
    allow(here, "203.0.113.10")
    shown = here.run("blocklist").stdout
    assert "acting is off" in shown
    assert ATTACKER in shown
    assert "203.0.113.10" not in shown
    assert "1 block\n" in shown


def test_debians_bouncer_bans_and_unbans(site: SiteFactory, tmp_path: Path) -> None:
    try:
        program = find("crowdsec-custom-bouncer")
    except FileNotFoundError as error:
        pytest.skip(str(error))
    here = site(block_severity="low", block_keys=KEY, block_seconds=8)
    worker = here.start()
    here.until(lambda: worker.ask("/api/v1/blocklist")[0] == 200, worker)
    calls, script, configuration = (tmp_path / name for name in ("calls", "script", "bouncer.yaml"))
    script.write_text(SCRIPT.format(calls=calls))
    script.chmod(0o755)
    configuration.write_text(CONFIGURATION.format(script=script, port=worker.settings.web_port, key=KEY))

    def called(action: str) -> list[list[str]]:
        written = calls.read_text().splitlines() if calls.exists() else []
        return [line.split() for line in written if line.startswith(f"{action} ")]

    with (tmp_path / "bouncer.log").open("wb") as log:
        bouncer = subprocess.Popen([program, "-c", str(configuration)], stdout=log, stderr=log)
    try:
        here.until(lambda: worker.ask("/api/v1/blocklist")[1]["bouncers"] != [], worker)
        addresses = [f"203.0.113.{number}" for number in range(1, 9)]
        for number, address in enumerate(addresses, 1):  # a slow machine may take longer than a block
            attack(here, address)
            deadline = time.monotonic() + 8 * number
            here.until(lambda end=deadline: called("add") or time.monotonic() > end, worker)  # type: ignore[misc]
            if called("add"):
                break
        (_, value, seconds, scenario), *_ = called("add")
        assert value in addresses
        assert 0 <= int(seconds) <= 8
        assert scenario == "clickwarden/bot"
        here.until(lambda: value in [call[1] for call in called("del")], worker)
        assert bouncer.poll() is None
    finally:
        bouncer.kill()
        bouncer.wait()
        print((tmp_path / "bouncer.log").read_text())
