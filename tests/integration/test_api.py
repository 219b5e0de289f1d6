"""The API of real workers on a real Kafka."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlencode

import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as configured
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from clickwarden.detection.anomaly import alert_id
from tests.site import Site, Worker, click, clicks, minute_over

SiteFactory = Callable[..., Site]

CONFORMANCE = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "\u202eright to left",
    "😀" * 256,
    "quote'\"quote",
    "new\nline\r\n",
    "nul\0nul",
    "=HYPERLINK(1)",
    "..",
    ".",
    "a/b?c#d%2Fe%",
    " ",
]


def ask(worker: Worker, path: str, **query: str) -> Any:
    status, content = worker.ask(f"{path}?{urlencode(query)}" if query else path)
    assert status == 200, content
    return content


def text(worker: Worker, path: str) -> tuple[dict[str, str], str]:
    """Headers and body of an answer that is no JSON."""
    with closing(HTTPConnection("127.0.0.1", worker.settings.web_port, timeout=10)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        return dict(answer.getheaders()), answer.read().decode()


@contextmanager
def listening(worker: Worker, last: str | None = None) -> Iterator[Iterator[dict[str, str]]]:
    """The events of the stream, as a browser takes them apart."""
    with closing(HTTPConnection("127.0.0.1", worker.settings.web_port, timeout=20)) as connection:
        connection.request("GET", "/api/v1/stream", headers={"Last-Event-ID": last} if last else {})
        answer = connection.getresponse()
        assert answer.status == 200

        def events() -> Iterator[dict[str, str]]:
            fields: dict[str, str] = {}
            while line := answer.readline():
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                elif fields:
                    yield fields
                    fields = {}

        yield events()


def found(events: Iterator[dict[str, str]], count: int) -> tuple[list[tuple[str, str]], str]:
    """User and status of the next anomalies, and the position behind them."""
    anomalies = (event for event in events if event.get("event") == "anomaly")
    taken = [next(anomalies) for _ in range(count)]
    records = [json.loads(event["data"]) for event in taken]
    return [(record["user_id"], record["status"]) for record in records], taken[-1]["id"]


def state(worker: Worker) -> str:
    """What the verdict is."""
    said: str = ask(worker, "/api/v1/now")["verdict"]["state"]
    return said


def tells_of_both_attacks(here: Site, worker: Worker, workers: Sequence[Worker], start: int) -> None:
    """Every answer of a worker tells of what all workers have counted."""
    here.until(lambda: ask(worker, "/api/v1/now")["live_total"] == 2, *workers)
    # Counted on since the threshold was crossed.
    here.until(lambda: [each["count"] for each in ask(worker, "/api/v1/now")["live"]] == [80, 80], *workers)
    # Workers say how they are doing once a second.
    here.until(lambda: ask(worker, "/api/v1/now")["health"]["accepted"] == 220, *workers)
    now = ask(worker, "/api/v1/now")
    assert now["verdict"]["state"] == "attack"
    assert now["verdict"]["worst"] == now["live"][0]["incident_id"]
    assert {each["incident_id"] for each in now["live"]} == {
        alert_id("bot", f"bot {partition}", start) for partition in (0, 1)
    }
    health = now["health"]
    assert (health["kafka"], health["lag"]) == ("ok", 0)
    assert {name: health[name] for name in ("accepted", "late", "rejected", "ignored", "lost")} == {
        "accepted": 220, "late": 0, "rejected": {"not_json": 2}, "ignored": 2, "lost": 0,
    }  # fmt: skip
    owners = {
        each["partition"]: worker["worker"] for worker in health["workers"] for each in worker["partitions"]
    }
    assert sorted(owners) == [0, 1]
    assert sorted(owners.values()) == ["one", "two"]
    assert sum(point["anomalies"] for point in now["timeline"]["points"]) == 2

    user = ask(worker, "/api/v1/users/bot%200")
    assert user["known"]
    assert user["windows"][0]["anomaly"]
    assert (user["events"], user["incidents"][0]["status"]) == ({"view": 56}, "ongoing")
    assert user["counterfactual"].startswith("6 to 30 clicks fewer in the minute from ")
    shopper = here.until(lambda: (user := ask(worker, "/api/v1/users/shopper%200"))["known"] and user, worker)
    assert (shopper["incidents"], shopper["counterfactual"]) == ([], None)
    assert (shopper["windows"][0]["count_low"], shopper["windows"][0]["count_high"]) == (6, 30)
    nobody = ask(worker, "/api/v1/users/nobody")
    assert (nobody["known"], nobody["windows"]) == (False, [])
    assert "25 of rule bot" in nobody["why"]
    here.until(lambda: len(ask(worker, "/api/v1/rules")[0]["closest"]) == 4, *workers)
    (rule,) = ask(worker, "/api/v1/rules")
    assert (rule["fired"], rule["live"], rule["words"]) == (2, 2, "more than 50 clicks in 1 minute")
    assert [each["count_high"] for each in rule["closest"]] == [80, 80, 30, 30]


def test_an_attack_as_every_worker_tells_it(site: SiteFactory) -> None:
    here = site(partitions=2, idle_timeout=3600)
    one, two = here.start("one"), here.start("two")
    here.until(lambda: len(one.partitions()) == len(two.partitions()) == 1, one, two)
    quiet = here.until(lambda: (now := ask(one, "/api/v1/now"))["verdict"]["state"] == "quiet" and now, one)
    assert (quiet["live"], quiet["verdict"]["worst"]) == ([], None)

    start = minute_over()
    for partition in 0, 1:
        here.send(*clicks(f"bot {partition}", 80, start, start + 8), b"not JSON", partition=partition)
        here.send(*clicks(f"shopper {partition}", 30, start, start + 8), None, partition=partition)
    for worker in one, two:
        tells_of_both_attacks(here, worker, (one, two), start)

    for partition in 0, 1:
        here.send(click("a shopper", start + 70), partition=partition)
    here.until(lambda: state(one) == state(two) == "quiet", one, two)
    for worker in one, two:
        assert [each["status"] for each in ask(worker, "/api/v1/anomalies")["anomalies"]] == ["closed"] * 2

    two.terminate()
    here.until(lambda: len(one.partitions()) == 2, one)

    def states() -> dict[str, str]:
        return {each["worker"]: each["state"] for each in ask(one, "/api/v1/now")["health"]["workers"]}

    here.until(lambda: states() == {"one": "ready", "two": "gone"}, one)


def test_history_is_paged_filtered_and_exported(site: SiteFactory) -> None:
    here = site(idle_timeout=3600)
    worker = here.start()
    start = minute_over()
    users = [*HOSTILE, *(f"bot {number}" for number in range(9))]
    for user in users:
        here.send(*clicks(user, 60, start, start + 8))
    here.until(lambda: ask(worker, "/api/v1/anomalies")["total"] == len(users), worker)

    pages = [ask(worker, "/api/v1/anomalies", limit="7")]
    assert (pages[0]["total"], pages[0]["ongoing"]) == (20, 20)
    here.send(click("a shopper", start + 70))
    here.until(lambda: not ask(worker, "/api/v1/anomalies")["ongoing"], worker)
    while pages[-1]["next"]:  # closing has moved none of them to another page
        pages.append(ask(worker, "/api/v1/anomalies", limit="7", cursor=pages[-1]["next"]))
    assert [len(page["anomalies"]) for page in pages] == [7, 7, 6]
    assert sorted(each["user_id"] for page in pages for each in page["anomalies"]) == sorted(users)

    for user in HOSTILE:
        filtered = ask(worker, "/api/v1/anomalies", user=user, status="closed")
        assert [each["user_id"] for each in filtered["anomalies"]] == [user]
        known = ask(worker, "/api/v1/users", id=user)
        assert (known["user_id"], known["known"], len(known["incidents"])) == (user, True, 1)
        if user not in (".", ".."):
            assert ask(worker, f"/api/v1/users/{quote(user, safe='')}")["user_id"] == user
    assert worker.ask("/api/v1/anomalies?status=open")[0] == 400
    assert worker.ask("/api/v1/users")[0] == 400
    assert worker.ask("/api/v1/no/such") == (404, {"error": "GET /api/v1/no/such: Not Found"})

    headers, body = text(worker, "/api/v1/anomalies.ndjson")
    assert headers["Content-Disposition"] == 'attachment; filename="anomalies.ndjson"'
    assert sorted(json.loads(line)["user_id"] for line in body.splitlines()) == sorted(users)
    headers, body = text(worker, "/api/v1/anomalies.csv?status=closed")
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(body, newline="")))
    assert sorted(row["user_id"].removeprefix("'") for row in rows) == sorted(users)
    assert not [
        cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    ]


def test_incidents_are_told_as_they_begin_and_as_they_end(site: SiteFactory) -> None:
    here = site(idle_timeout=3600)
    worker = here.start()
    start = minute_over() - 120
    for number, user in enumerate((*HOSTILE[:3], "bot")):
        here.send(*clicks(user, 60, start + number, start + number + 8))
    listed = here.until(
        lambda: (found := ask(worker, "/api/v1/incidents"))["total"] == 4 and found, worker, seconds=20
    )
    assert (listed["state"], listed["ongoing"], listed["next"]) == ("live", 4, None)
    assert [each["user_id"] for each in listed["incidents"]] == ["bot", *reversed(HOSTILE[:3])]
    (known,) = ask(worker, "/api/v1/users", id="bot")["incidents"]
    assert known == listed["incidents"][0] == ask(worker, f"/api/v1/incidents/{known['incident_id']}")
    # What was counted since the threshold was crossed, before the topic knows of it.
    here.send(*clicks("bot", 200, start + 20, start + 40), click("bot", start + 50.5))
    path = f"/api/v1/incidents/{known['incident_id']}"
    here.until(lambda: ask(worker, path)["count"] == 261, worker)
    grown = ask(worker, path)
    assert (grown["severity"], grown["last_seen"][17:]) == ("high", "50.500Z")

    here.send(click("a shopper", start + 70))
    here.until(lambda: not ask(worker, "/api/v1/incidents")["ongoing"], worker)
    here.until(lambda: all(each["until"] for each in here.incidents().values()), worker)
    assert here.incidents()[known["incident_id"]] == ask(worker, path)
    pages = [ask(worker, "/api/v1/incidents", limit="3")]
    pages.append(ask(worker, "/api/v1/incidents", limit="3", cursor=pages[0]["next"]))
    assert [each["user_id"] for page in pages for each in page["incidents"]] == [
        "bot",
        *reversed(HOSTILE[:3]),
    ]
    for user in HOSTILE[:3]:
        assert ask(worker, "/api/v1/incidents", user=user, status="closed")["total"] == 1
    assert ask(worker, "/api/v1/incidents", status="ongoing")["total"] == 0
    assert worker.ask("/api/v1/incidents?limit=0")[0] == 400
    status, problem = worker.ask("/api/v1/incidents/no/such")
    assert (status, problem) == (
        404,
        {"error": "GET /api/v1/incidents/no/such: no incident of this id is known"},
    )


def test_the_stream_goes_on_at_another_worker_and_after_a_restart(site: SiteFactory) -> None:
    here = site(partitions=2, idle_timeout=3600)
    one, two = here.start("one"), here.start("two")
    here.until(lambda: len(one.partitions()) == len(two.partitions()) == 1, one, two)
    start = minute_over()

    def attack(user: str, partition: int) -> None:
        here.send(*clicks(user, 60, start, start + 8), partition=partition)

    position = ask(one, "/api/v1/now")["position"]
    with listening(one, position) as events:
        attack("a", 0)
        first, position = found(events, 1)
        assert first == [("a", "ongoing")]
    attack("b", 1)
    attack("c", 0)
    with listening(two, position) as events:
        second, position = found(events, 2)
        assert sorted(second) == [("b", "ongoing"), ("c", "ongoing")]
    one.kill()
    here.send(click("a shopper", start + 70), partition=0)
    attack("d", 1)
    one = here.start("one")
    with listening(one, position) as events:
        third, position = found(events, 3)
        assert sorted(third) == [("a", "closed"), ("c", "closed"), ("d", "ongoing")]
        attack("e", 1)
        assert found(events, 1)[0] == [("e", "ongoing")]
    with listening(two, "0-0-0") as events:
        assert any(event.get("event") == "reset" for event in (next(events), next(events), next(events)))
    assert one.terminate() < 10


def test_answers_are_as_described(site: SiteFactory) -> None:
    """Whatever is asked for, allowed or not, the answer is of a type that the description names."""
    here = site(idle_timeout=3600)
    worker = here.start()
    here.send(*clicks("bot", 60, minute_over(), minute_over() + 8))
    here.until(lambda: ask(worker, "/api/v1/anomalies")["total"] == 1, worker)
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{worker.settings.web_port}/api/v1/openapi.json")
    asked = 0
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        if operation.path == "/api/v1/stream":  # has no end; see the test above
            continue

        # Who is allowed is written to Kafka, which takes its time.
        @given(operation.as_strategy())
        @configured(
            max_examples=10 if "/allow" in operation.path else 60,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def is_as_described(case: Any) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(checks=CONFORMANCE)

        is_as_described()
    assert asked > 300
    assert worker.ready


def test_the_records_of_the_topic_are_told_of_whatever_is_set(site: SiteFactory) -> None:
    here = site(partitions=2, field_user_id="wrong")
    worker = here.start()
    start = minute_over()
    hostile = {"event": HOSTILE[0], "timestamp": start}
    here.send(*(json.dumps({"uid": f"{number}\x1b[2J"} | hostile).encode() for number in range(40)), key=b"k")
    survey = ask(worker, "/api/v1/inspect")
    assert survey["settings"]["CLICKWARDEN_FIELD_USER_ID"] == "uid"
    assert survey["clicks"] == 40
    assert survey["examples"][0] | {"time": ""} == {
        "user_id": "0\\x1b[2J",
        "event": HOSTILE[0],
        "product_id": None,
        "time": "",
    }
    # It stands for a while, whoever asks.
    here.send(b"not JSON")
    assert ask(worker, "/api/v1/inspect") == survey


def test_metrics(site: SiteFactory) -> None:
    here = site(idle_timeout=3600)
    worker = here.start()
    here.send(*clicks("bot", 60, minute_over(), minute_over() + 8), b"not JSON", None)
    here.until(
        lambda: 'clickwarden_anomalies_ongoing{kind="attack"} 1.0' in text(worker, "/metrics")[1], worker
    )
    headers, body = text(worker, "/metrics")
    assert headers["Content-Type"].startswith("text/plain")
    lines = set(body.splitlines())
    assert lines >= {
        "clickwarden_ready 1.0",
        'clickwarden_accepted_total{partition="0"} 60.0',
        'clickwarden_late_total{partition="0"} 0.0',
        'clickwarden_uncounted_total{partition="0"} 0.0',
        'clickwarden_late_by_silence_total{partition="0"} 0.0',
        'clickwarden_ignored_total{partition="0"} 1.0',
        'clickwarden_rejected_total{partition="0",reason="not_json"} 1.0',
        'clickwarden_suspects{partition="0"} 1.0',
    }


def test_a_worker_without_a_page_is_seen_on_every_other_workers(site: SiteFactory) -> None:
    here = site(partitions=2)
    seen = here.start("seen")
    silent = here.launch("silent", "--without-web")

    def states() -> dict[str, str]:
        return {each["worker"]: each["state"] for each in ask(seen, "/api/v1/now")["health"]["workers"]}

    here.until(lambda: states() == {"seen": "ready", "silent": "ready"}, seen, silent)
    silent.kill()
    here.until(lambda: states()["silent"] == "gone", seen)
