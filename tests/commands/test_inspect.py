"""``inspect`` of files: kinds of logs, records in files, and the settings it writes."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

CASES = Path(__file__).parent.parent / "cases"
CLIENTS = [f"203.0.113.{number}" for number in range(1, 9)]
NOON = "2026-03-10T14:20"


def inspect(*arguments: str | Path, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("CLICKWARDEN_")}
    done = subprocess.run(
        (sys.executable, "-m", "faust", "-A", "app", "inspect", *map(str, arguments)),
        env=others | environment | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    return done


def told(path: Path, code: int = 0) -> dict[str, Any]:
    survey: dict[str, Any] = json.loads(inspect(path, "--json", code=code).stdout)
    return survey


def field(survey: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (each for each in survey["fields"] if each["name"] == name)
    return dict(found)


def write(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("case", "user", "time"),
    [
        ("01-vhost-first/attack-vhost-port.log", "the client's address", "the time of the request"),
        ("02-collector-prefix/syslog.log", "the client's address", "the time of the request"),
        ("04-json-access-logs/caddy.json", "request.remote_ip", "ts"),
        ("06-cloudflare-logpush/unixnano.ndjson", "ClientIP", "EdgeStartTimestamp"),
        ("14-bom-and-utf16/utf16.log", "the client's address", "the time of the request"),
        ("22-nested/records.ndjson", "context.traits.userId", "timestamp"),
        ("24-confluent-framing/one-record.bin", "user_id", "timestamp"),
        ("25-envelopes/debezium.ndjson", "user_id", "timestamp"),
    ],
)
def test_what_people_have_is_recognised(case: str, user: str, time: str) -> None:
    survey = told(CASES / case)
    assert (field(survey, "user_id")["setting"], field(survey, "timestamp")["setting"]) == (user, time)
    assert survey["clicks"] > 0
    assert field(survey, "timestamp")["examples"]


def test_a_proxy_in_place_of_the_clients_is_warned_of() -> None:
    survey = told(CASES / "03-behind-a-proxy/nginx-main-xff-last.log")
    assert field(survey, "user_id")["confidence"] == "likely"
    assert any("--trusted-proxies 10.0.0.5" in warning for warning in survey["warnings"])


def test_records_that_look_like_a_log_and_name_their_user_are_records(tmp_path: Path) -> None:
    rows = [
        {"user_id": f"u-{n % 7}", "client_ip": CLIENTS[n % 8], "method": "GET", "path": "/p/7"}
        | {"time": f"{NOON}:{n:02}Z", "event": "view"}
        for n in range(40)
    ]
    survey = told(write(tmp_path / "clicks.ndjson", rows))
    assert survey["settings"]["CLICKWARDEN_FIELD_USER_ID"] == "user_id"


def test_the_settings_are_for_a_shell_and_replace_their_own_lines_alone(tmp_path: Path) -> None:
    rows = [
        {"userId": f"u-{n % 7}" if n % 2 else None, "anonymousId": f"a-{n % 5}"}
        | {"event": "Login", "when": f"{n % 28 + 1:02}.03.2026 14:20:00"}
        for n in range(60)
    ]
    env = tmp_path / "env"
    env.write_text("A='b c'\nexport CLICKWARDEN_FIELD_EVENT=old\n# more\nCLICKWARDEN_FIELD_PRODUCT_ID=sku\n")
    env.chmod(0o600)
    done = inspect(
        write(tmp_path / "clicks.ndjson", rows), "--write", env, CLICKWARDEN_FIELD_EVENT="of the environment"
    )
    assert "CLICKWARDEN_FIELD_USER_ID='userId|anonymousId'\n" in done.stdout
    assert "CLICKWARDEN_TIMESTAMP_FORMAT='%d.%m.%Y %H:%M:%S'\n" in done.stdout
    lines = env.read_text().splitlines()
    assert [lines[0], lines[2]] == ["A='b c'", "# more"]
    assert "CLICKWARDEN_FIELD_EVENT='event'" in lines or "CLICKWARDEN_FIELD_EVENT=event" in lines
    assert not any("PRODUCT" in line for line in lines)
    assert env.stat().st_mode & 0o777 == 0o600
    assert "CLICKWARDEN_FIELD_EVENT is set in the environment" in done.stderr


def test_a_strangers_text_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    rows = [
        {"uid": f"\x1b[2J{n % 5}\u202e", "event": "[bold]x[/bold]", "ts": f"{NOON}:{n:02}Z"}
        for n in range(30)
    ]
    shown = inspect(write(tmp_path / "clicks.ndjson", rows)).stdout
    assert "\x1b[2J" not in shown
    assert "\u202e" not in shown
    assert r"\x1b[2J0\u202e" in shown
    assert "[bold]x[/bold]" in shown


def test_what_cannot_be_read_is_named_and_has_a_code_of_its_own(tmp_path: Path) -> None:
    survey = told(write(tmp_path / "notes.txt", ["Dear diary,", "today"]), code=3)
    assert (survey["clicks"], survey["settings"]) == (0, {})
    assert "neither an access log" in survey["warnings"][0]
    empty = told(write(tmp_path / "nothing", []), code=3)
    assert empty["records"] == 0
    assert empty["warnings"] == [f"{tmp_path / 'nothing'} is empty"]


def test_a_name_that_is_neither_a_file_nor_a_topics_is_refused(tmp_path: Path) -> None:
    done = inspect(tmp_path / "none.log", code=1)
    assert "no such file" in done.stderr
