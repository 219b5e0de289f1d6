"""``inspect`` of files: kinds of logs, records in files, and the settings it writes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from commands.inspect import survey_of_file

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


def combined(n: int, client: str, more: str = "") -> str:
    return f'{client} - - [10/Mar/2026:14:20:{n:02} +0000] "GET /p/{n} HTTP/1.1" 200 512 "-" "Firefox"{more}'


W3C = "#Version: 1.0\n#Fields: date time c-ip cs-method cs-uri-stem cs-uri-query sc-status"
#: Kinds of logs: the line of a moment (second of a minute) and a client.
LOGS: dict[str, Callable[[int, str], Any]] = {
    "combined": combined,
    "common": lambda n, c: f'{c} - ann [10/Mar/2026:14:20:{n:02} +0000] "GET /p/7 HTTP/1.1" 200 512',
    "with a virtual host": lambda n, c: f"shop.example:443 {combined(n, c)}",
    "with ports": lambda n, c: combined(n, f"{c}:5{n:04}"),
    "time in ISO-8601": lambda n, c: f'{c} - - [{NOON}:{n:02}+00:00] "GET /p/7 HTTP/1.1" 200 512 "-" "x"',
    "epoch": lambda n, c: f'{c} - - [{1773152400 + n}.000] "GET /p/7 HTTP/1.1" 200 512',
    "ingress-nginx": lambda n, c: combined(n, c, " 123 0.004 [shop-80] 10.0.0.1:80"),
    "syslog": lambda n, c: f"Mar 10 14:20:{n:02} web-1 nginx[812]: {combined(n, c)}",
    "syslog, RFC 5424": lambda n, c: f"<190>1 {NOON}:{n:02}Z web-1 nginx 812 - - {combined(n, c)}",
    "docker compose": lambda n, c: f"web-1  | {combined(n, c)}",
    "Kubernetes' CRI": lambda n, c: f"{NOON}:{n:02}.5Z stdout F {combined(n, c)}",
    "Docker's json-file": lambda n, c: {
        "log": combined(n, c) + "\n",
        "stream": "stdout",
        "time": f"{NOON}:00Z",
    },
    "journald": lambda n, c: {"MESSAGE": combined(n, c), "_PID": "7"},
    "Caddy": lambda n, c: {
        "ts": 1773152400.5 + n,
        "request": {"remote_ip": c, "client_ip": c, "method": "GET", "uri": "/p/7"},
        "user_id": "",
        "status": 200,
    },
    "Traefik": lambda n, c: {
        "ClientHost": c,
        "ClientUsername": "-",
        "RequestMethod": "GET",
        "RequestPath": "/p/7",
        "StartUTC": f"{NOON}:{n:02}.000Z",
        "time": "2026-03-10T14:21:00Z",
        "DownstreamStatus": 200,
    },
    "nginx, escape=json": lambda n, c: {
        "time_iso8601": f"{NOON}:{n:02}+00:00",
        "remote_addr": c,
        "remote_user": "",
        "request": "GET /p/7 HTTP/1.1",
        "status": "200",
    },
    "Cloudflare": lambda n, c: {
        "ClientIP": c,
        "ClientRequestMethod": "GET",
        "ClientRequestURI": "/p/7",
        "EdgeStartTimestamp": f"{NOON}:{n:02}Z",
        "EdgeResponseStatus": 200,
    },
    "pino": lambda n, c: {
        "time": (1773152400 + n) * 1000,
        "req": {"remoteAddress": c, "method": "GET", "url": "/p/7"},
        "res": {"statusCode": 200},
    },
    "AWS ALB": lambda n, c: (
        f"h2 {NOON}:{n:02}.000000Z app/shop/abc {c}:4000 10.0.0.1:80 0.1 0.1 0.0 200 200 225 24950 "
        '"GET https://shop.example:443/p/7 HTTP/2.0" "Mozilla/5.0" ECDHE TLSv1.2 -'
    ),
    "HAProxy": lambda n, c: (
        f"{c}:4000 [10/Mar/2026:14:20:{n:02}.000] https~ shop/web1 0/0/0/72/72 200 7456 - - ---- "
        '5/4/0/1/0 0/0 "GET /p/7 HTTP/1.1"'
    ),
    "IIS": lambda n, c: f"{W3C if not n else '#'}\n2026-03-10 14:20:{n:02} {c} GET /p/7 - 200",
    "Squid": lambda n, c: (
        f"{1773152400 + n}.000    921 {c} TCP_MISS/200 507 GET http://shop/p/7 - DIRECT/10.0.0.1 -"
    ),
    "S3": lambda n, c: (
        f"79a59df900b949e55d96a1e698fbaced shop [10/Mar/2026:14:20:{n:02} +0000] "
        f'{c} - 3E57 REST.GET.OBJECT p/7 "GET /p/7 HTTP/1.1" 200 - 113 - 7 - - "Mozilla/5.0" -'
    ),
}
#: Where a log of JSON has the two.
IN_JSON = {
    "Caddy": ("request.remote_ip", "ts"),
    "Traefik": ("ClientHost", "StartUTC"),
    "nginx, escape=json": ("remote_addr", "time_iso8601"),
    "Cloudflare": ("ClientIP", "EdgeStartTimestamp"),
    "pino": ("req.remoteAddress", "time"),
}


@pytest.mark.parametrize("kind", LOGS)
def test_user_and_time_of_a_log_are_found(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / "log", [LOGS[kind](n, CLIENTS[n % 8]) for n in range(40)])
    survey = survey_of_file(path)
    found = {each.name: each for each in survey.fields}
    places = IN_JSON.get(kind, ("the client's address", "the time of the request"))
    assert (found["user_id"].setting, found["timestamp"].setting) == places
    assert (found["user_id"].confidence, found["timestamp"].confidence) == ("sure", "sure")
    assert found["user_id"].examples == CLIENTS[:3]
    assert found["timestamp"].examples[1].startswith(f"{NOON}:01")
    assert (survey.clicks, survey.rejected) == (40, [])
    assert bool(survey.settings) == (kind in IN_JSON)  # which may be a topic's records too


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param(lambda n: combined(n, "10.0.0.5", ' "203.0.113.7"'), "--trusted-proxies", id="a proxy"),
        pytest.param(lambda n: combined(n, f"10.0.0.{n % 4}"), "--trusted-proxies", id="several proxies"),
        pytest.param(
            lambda n: combined(n, f"web-{n % 4}.shop.example"), "no client is an address", id="hosts"
        ),
    ],
)
def test_who_may_not_be_the_client_is_warned_of(
    line: Callable[[int], str], words: str, tmp_path: Path
) -> None:
    survey = survey_of_file(write(tmp_path / "log", [line(n) for n in range(40)]))
    (user,) = (each for each in survey.fields if each.name == "user_id")
    assert user.confidence == "likely"
    assert any(words in warning for warning in survey.warnings)


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


def test_a_log_needs_no_setting_which_is_no_error(tmp_path: Path) -> None:
    log = write(tmp_path / "access.log", [combined(n, CLIENTS[n % 8]) for n in range(40)])
    done = inspect(log, "--write", tmp_path / "env")
    assert "there is nothing to set: scan and replay read it as it is" in done.stderr
    assert not (tmp_path / "env").exists()
    none = inspect(write(tmp_path / "notes.txt", ["Dear diary,"]), "--write", tmp_path / "env", code=3)
    assert none.stderr == f"{tmp_path}/env stays as it is: there is nothing to set\n"


def test_settings_for_a_topic_are_not_told_of_lines_that_stand_in_something_else(tmp_path: Path) -> None:
    rows = [
        {"time": f"{NOON}:{n:02}Z", "remote_addr": CLIENTS[n % 8], "method": "GET", "path": "/p/7"}
        for n in range(40)
    ]
    bare = told(write(tmp_path / "bare.log", rows))
    assert bare["settings"]["CLICKWARDEN_FIELD_USER_ID"] == "remote_addr"
    docker = [{"log": json.dumps(row) + "\n", "stream": "stdout", "time": row["time"]} for row in rows]
    inside = told(write(tmp_path / "docker.log", docker))
    assert (inside["clicks"], inside["settings"]) == (40, {})
    assert "in a topic" not in inside["facts"]


def test_of_a_folder_the_first_file_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "lake/day=1").mkdir(parents=True)
    (tmp_path / "lake/_SUCCESS").touch()
    rows = [{"uid": f"u-{n % 7}", "event": "view", "ts": f"{NOON}:{n:02}Z"} for n in range(40)]
    first = write(tmp_path / "lake/day=1/part-0.ndjson", rows)
    survey = told(tmp_path / "lake")
    assert survey["source"].startswith(f"{first}: ")
    assert survey["settings"]["CLICKWARDEN_FIELD_USER_ID"] == "uid"


def test_a_strangers_text_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    rows = [
        {"uid": f"\x1b[2J{n % 5}\u202e", "event": "[bold]x[/bold]", "ts": f"{NOON}:{n:02}Z"}
        for n in range(30)
    ]
    folder = tmp_path / "clicks["
    folder.mkdir()
    shown = inspect(write(folder / "b].ndjson", rows)).stdout
    assert "clicks[/b].ndjson" in shown
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
