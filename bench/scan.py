"""``scan``: a large access log, from the shell."""

import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
from rich.console import Console

from bench.results import at_least, report
from clickwarden.errors import ClickwardenError
from clickwarden.sandbox import shoppers

#: Requests a second: a million lines are of half an hour.
RATE = 500.0
BEGIN = 1_760_000_400.0
ATTACKERS = 20
#: Clicks of each attack: over the threshold of both rules that count views.
ATTACK = 300
REQUESTS = {
    "view": "GET /products/{}",
    "search": "GET /search?q={}",
    "add_to_cart": "POST /cart/{}",
    "purchase": "POST /checkout",
    "login": "POST /login",
}
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
COMBINED = f'{{client}} - - [{{stamp}}] "{{request}} HTTP/1.1" 200 5120 "https://shop.example/" "{AGENT}"\n'
#: Lines a second that are the goal.
GOALS = {"combined": 250_000, "JSON of Caddy": 250_000, "syslog, virtual host": 200_000}

Incidents = list[tuple[str, str, int]]


def write(path: Path, lines: int, form: str = "combined") -> Incidents:
    """Write an access log of shoppers and attackers in a format of :data:`LINES`; the incidents in it.

    An incident is rule, client and clicks in its worst window; they are sorted.
    """
    columns = _shoppers(lines - ATTACKERS * ATTACK)
    attackers = [f"192.0.2.{number}" for number in range(ATTACKERS)]
    for number, attacker in enumerate(attackers):
        attack = shoppers.attack(ATTACK, attacker, BEGIN + lines / RATE * number / ATTACKERS)
        columns += zip(attack.times.tolist(), attack.users, attack.events, attack.products, strict=True)
    columns.sort(key=lambda click: click[0])
    with path.open("w") as file:
        file.writelines(
            LINES[form](_address(user), int(moment), REQUESTS[event].format(product))
            for moment, user, event, product in columns
        )
    return sorted((rule, attacker, ATTACK) for rule in ("bot", "slow-scraper") for attacker in attackers)


def _shoppers(clicks: int) -> list[tuple[float, str, str, str | int | None]]:
    made = iter(shoppers.Shoppers(RATE, shoppers.users_for(RATE), 0, BEGIN))
    rows = (
        row
        for part in made
        for row in zip(part.times.tolist(), part.users, part.events, part.products, strict=True)
    )
    return list(itertools.islice(rows, clicks))


@cache
def _address(user: str) -> str:
    number = re.fullmatch(r"shopper-(\d+)", user)
    return f"10.{int(number[1]) >> 8}.{int(number[1]) & 255}.1" if number else user


@cache
def _stamp(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")


@cache
def _syslog(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%b %d %H:%M:%S")


def _caddy(client: str, moment: int, request: str) -> str:
    method, uri = request.split(" ")
    return (
        f'{{"level":"info","ts":{moment}.25,"logger":"http.log.access.log0","msg":"handled request",'
        f'"request":{{"remote_ip":"{client}","remote_port":"51000","client_ip":"{client}","proto":"HTTP/2.0",'
        f'"method":"{method}","host":"shop.example","uri":"{uri}","headers":{{"User-Agent":["{AGENT}"]}}}},'
        '"bytes_read":0,"user_id":"","duration":0.002,"size":5120,"status":200}\n'
    )


def _combined(client: str, moment: int, request: str) -> str:
    return COMBINED.format(client=client, stamp=_stamp(moment), request=request)


def _behind_syslog(client: str, moment: int, request: str) -> str:
    return f"{_syslog(moment)} web-1 nginx[812]: shop.example:443 {_combined(client, moment, request)}"


#: How a line is made, by format.
LINES: dict[str, Callable[[str, int, str], str]] = {
    "combined": _combined,
    "JSON of Caddy": _caddy,
    "syslog, virtual host": _behind_syslog,
}


def measure(folder: Path, lines: int, runs: int) -> bool:
    """Scan a log of each format ``runs`` times, report; whether what was found was right each time."""
    console = Console(stderr=True, highlight=False)
    console.print(f"Writing {lines:,} lines in each of {len(LINES)} formats", style="dim")
    paths = {form: folder / f"{number}.log" for number, form in enumerate(LINES)}
    expected = {form: write(path, lines, form) for form, path in paths.items()}
    seconds: dict[str, list[float]] = {form: [] for form in LINES}
    right = True
    for _ in range(runs):
        for form, path in paths.items():
            began = time.monotonic()
            found = scan(path)
            seconds[form].append(time.monotonic() - began)
            right &= found == expected[form]
    rows, goals = [], []
    for form, path in paths.items():
        rate = lines / float(np.median(seconds[form]))
        rows.append(
            {
                "format": form,
                "lines": f"{lines:,}",
                "MB": f"{path.stat().st_size / 1e6:.0f}",
                "lines/s": f"{rate:,.0f}",
                "run by run": " ".join(f"{lines / taken:,.0f}" for taken in seconds[form]),
                "output": "right" if right else "wrong",
            }
        )
        goals.append(at_least(f"{form}, lines/s", GOALS[form], rate))
    title = f"faust -A app scan, from the shell, {runs} runs of each, median"
    report("scan", title, rows, goals, {"lines": lines, "seconds": seconds, "right": right})
    return right


def scan(path: Path) -> Incidents:
    """What the command finds."""
    command = (sys.executable, "-m", "faust", "-A", "app", "scan", str(path), "--json")
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ClickwardenError(f"scan ended with {done.returncode}: {done.stderr}")
    worst: dict[str, tuple[str, str, int]] = {}
    for anomaly in map(json.loads, done.stdout.splitlines()):
        window = anomaly["rule"], anomaly["user_id"], anomaly["count"]
        worst[anomaly["incident_id"]] = max(window, worst.get(anomaly["incident_id"], window))
    return sorted(worst.values())
