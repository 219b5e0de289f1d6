"""Rules are changed through the page: at every worker at once, checked as by `put`, by nobody foreign."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import Any

import msgspec
import psutil
import pytest

from clickwarden.kafka.rulestopic import RulesTopic
from tests.site import RULES, Site, Worker, clicks, put_rules, window_before

#: From a change on until every partition has taken it up.
TAKEN_UP_SECONDS = 2.0
TOKEN = "let me in please"
TEST = """
[[rule.test]]
name = "51 are too many"
clicks = [{ user = "eve", times = 51 }]
expect = [{ user = "eve", count = 51 }]
"""
LOGINS = '[[rule]]\nname = "logins"\nwindow = 60\nthreshold = 5\nevents = ["login"]\n'

Sites = Callable[..., Site]


def history(worker: Worker) -> dict[str, Any]:
    status, content = worker.ask("/api/v1/rules/history")
    assert status == 200
    answer: dict[str, Any] = content
    return answer


def change(worker: Worker, wanted: Any, name: str = "bot", **headers: str) -> tuple[int, Any]:
    return worker.send("PATCH", f"/api/v1/rules/{name}", wanted, **headers)


def in_force(worker: Worker) -> dict[str, int]:
    return {rule["name"]: rule["threshold"] for rule in worker.ask("/api/v1/rules")[1]}


@pytest.mark.alone
def test_a_change_is_in_force_in_all_partitions_of_two_workers_within_two_seconds(site: Sites) -> None:
    topic = site(partitions=4, rules=RULES + LOGINS)
    one, two = topic.launch("one"), topic.launch("two")
    topic.until(lambda: one.ready and two.ready and len(two.partitions()) == 2, one, two)
    begun = time.monotonic()
    status, changed = change(one, {"threshold": 20, "edition": 1, "why": "  <b>too many</b>\n"})
    assert status == 200, changed
    assert (changed["number"], changed["what"]) == (2, "threshold of bot from 50 to 20")
    topic.until(lambda: (now := history(two))["waiting"] == [] and now["changes"][0]["number"] == 2, one, two)
    seconds = time.monotonic() - begun
    print(f"in force in all partitions of two workers {seconds:.2f} s after it was sent")
    assert seconds <= TAKEN_UP_SECONDS
    for worker in one, two:
        topic.until(lambda worker=worker: in_force(worker) == {"bot": 20, "logins": 5}, one, two)  # type: ignore[misc]
        last = history(worker)["changes"][0]
        assert (last["who"], last["why"]) == ("the page of one, from 127.0.0.1", "<b>too many</b>")
    # Switched off and on again at the other, by the same check of who was first.
    assert change(two, {"enabled": False, "edition": 2, "why": "w"}, "logins")[0] == 200
    topic.until(lambda: in_force(one) == {"bot": 20}, one, two)
    known = {rule["name"]: rule["enabled"] for rule in history(one)["rules"]}
    assert known == {"bot": True, "logins": False}
    assert change(one, {"enabled": True, "threshold": 9, "edition": 3, "why": "w"}, "logins")[0] == 200
    topic.until(lambda: in_force(two) == {"bot": 20, "logins": 9}, one, two)
    assert "enable logins, threshold of logins from 5 to 9" in topic.run("rules", "history").stdout
    start = window_before(time.time())
    for partition in range(4):
        topic.send(*clicks(f"eve-{partition}", 30, start, start + 30), partition=partition)
    topic.await_counted(one, two)
    assert {each["threshold"] for each in topic.anomalies()} == {20}
    verdict = topic.verdict()
    assert verdict.ok, verdict.examples


def test_what_is_wrong_is_refused_in_a_sentence_and_changes_nothing(site: Sites) -> None:
    topic = site(rules=RULES + TEST)
    worker = topic.start()
    good = {"threshold": 50, "edition": 1, "why": "w"}
    for wanted, status, field, said in (
        (good | {"threshold": 0}, 400, "threshold", "threshold: 0 must be at least 1"),
        (
            good | {"threshold": "60"},
            400,
            "threshold",
            "threshold: expected `int`, got `str`; see docs/api.md",
        ),
        (good | {"threshold": 5.5}, 400, "threshold", "threshold: expected `int`, got `float`"),
        (good | {"window": 60}, 400, "window", "window: there is no such field; there are threshold, shadow"),
        (
            {"threshold": 40, "why": "w"},
            400,
            "edition",
            "edition: is missing; it is the number of the newest",
        ),
        (good | {"why": " \n"}, 400, "why", "why: has 0 characters; say in 1 to 500"),
        (good | {"why": "x" * 501}, 400, "why", "why: has 501 characters"),
        (good, 400, "", "bot: is so already; change its threshold"),
        (good | {"enabled": False}, 400, "enabled", "bot: is the only rule in force"),
        (good | {"edition": 2}, 400, "edition", "edition: 2 is no change; the newest is 1"),
        (good | {"edition": 0}, 400, "edition", "edition: 0 is no change"),
        (good | {"threshold": 60}, 400, "threshold", "expected eve with 51 clicks, came nobody"),
        (b"{", 400, "", "the body: input data was truncated"),
        (b"[]", 400, "", "the body: expected `object`, got `array`"),
        (b"[" * 8000, 400, "", "the body: "),
        (b'"\xff"', 400, "", "the body: "),
        (b" " * 17_000, 413, "", "the body has more than 16,384 bytes"),
    ):
        answer = change(worker, wanted)
        assert (answer[0], answer[1]["field"]) == (status, field), answer
        assert said in answer[1]["error"]
    assert change(worker, good | {"threshold": 60})[1]["tests"] == [
        {"test": "51 are too many", "fault": "expected eve with 51 clicks, came nobody"}
    ]
    assert change(worker, good, "bits")[1]["error"] == "bits: there is no rule of that name; there are bot"
    assert change(worker, good, "bits")[0] == 404
    status, changed = worker.send("POST", "/api/v1/rules/bot", good)
    assert (status, "Method Not Allowed" in changed["error"]) == (405, True)
    assert topic.changes() == 1
    status, changed = change(worker, good | {"threshold": 60, "without": ["51 are too many"]})
    assert status == 200
    assert changed["what"] == "threshold of bot from 50 to 60, bot without its test '51 are too many'"


def test_who_comes_second_is_told_who_was_first_and_what_they_did(site: Sites) -> None:
    topic = site()
    worker = topic.start()
    asyncio.run(
        put_rules(topic.settings, [msgspec.structs.replace(one, threshold=40) for one in _rules(topic)])
    )
    # Also while the worker has not heard of it yet.
    status, refused = change(worker, {"threshold": 30, "edition": 1, "why": "w"})
    assert (status, refused["field"]) == (409, "edition")
    assert refused["error"].startswith(
        "tests was first, and has changed the rules, too (put); look at what they"
    )
    answers: list[tuple[int, Any]] = []
    wanted = [{"threshold": number, "edition": 2, "why": "w"} for number in range(10, 20)]

    def ask(one: Any) -> None:
        answers.append(change(worker, one))

    asking = [threading.Thread(target=ask, args=(one,)) for one in wanted]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert [status for status, _ in answers].count(200) == 1
    assert {status for status, _ in answers} <= {200, 409, 429}
    assert topic.changes() == 3


def _rules(topic: Site) -> Any:
    book = RulesTopic(topic.settings)
    asyncio.run(book.read())
    return book.book.rules


@pytest.mark.parametrize("token", ["", TOKEN])
def test_a_foreign_page_changes_nothing_and_neither_does_who_has_no_token(site: Sites, token: str) -> None:
    topic = site(**({"web_token": token} if token else {}))
    worker = topic.launch()
    allowed = {"Authorization": f"Bearer {token}"} if token else {}
    topic.until(lambda: worker.ready, worker)
    wanted = {"threshold": 30, "edition": 1, "why": "w"}
    port = worker.settings.web_port
    for headers, status in (
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": f"http://127.0.0.1:{port}", "Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ):
        assert change(worker, wanted, **allowed | headers)[0] == status, headers
    form = {"Origin": "http://evil.example", "Content-Type": "text/plain"}
    assert worker.send("POST", "/api/v1/rules/bot", wanted, **allowed | form)[0] == 403
    if token:
        assert change(worker, wanted)[0] == 401
        assert change(worker, wanted, Authorization="Bearer wrong")[0] == 401
    else:
        assert change(worker, wanted, Host="evil.example")[0] == 421
    assert topic.changes() == 1
    own = {"Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}
    assert change(worker, wanted, **allowed | own)[0] == 200
    assert topic.changes() == 2


def preview(worker: Worker, wanted: Any, name: str = "bot") -> tuple[int, Any]:
    return worker.send("POST", f"/api/v1/rules/{name}/preview", wanted)


def trying(worker: Worker) -> list[psutil.Process]:
    """The processes that try something for a worker, but for those of which only the end is not known yet."""
    try:
        children = psutil.Process(worker.pid).children()
        return [child for child in children if child.status() != "zombie" and "try" in child.cmdline()]
    except psutil.NoSuchProcess:  # ended while it was looked at
        return trying(worker)


@pytest.mark.alone
def test_what_a_change_would_have_done_in_the_last_hour_is_told_and_changes_nothing(site: Sites) -> None:
    topic = site(partitions=2, rules=RULES + TEST + LOGINS)
    worker = topic.start()
    start = int(time.time()) // 60 * 60 - 120
    for number, user in enumerate(("eve", "joe", "<b>ann</b>")):
        topic.send(*clicks(user, (80, 45, 30)[number], start, start + 30), partition=number % 2)
    topic.await_counted(worker)
    status, found = preview(worker, {"threshold": 40, "edition": 1})
    assert status == 200, found
    (bot,) = [rule for rule in found["rules"] if rule["rule"] == "bot"]
    assert (bot["new"], bot["gone"]) == (1, 0)
    assert (bot["before"]["messages"], bot["draft"]["messages"]) == (1, 2)
    assert [(each["user_id"], each["count"]) for each in found["newest"]] == [("joe", 45)]
    status, found = preview(worker, {"threshold": 29, "edition": 1})
    assert {each["user_id"] for each in found["newest"]} == {"joe", "<b>ann</b>"}
    status, found = preview(worker, {"enabled": False, "edition": 1})
    assert [each["user_id"] for each in found["lost"]] == ["eve"]
    assert preview(worker, {"threshold": 0, "edition": 1})[1]["error"] == "threshold: 0 must be at least 1"
    assert preview(worker, {"threshold": 40, "edition": 7})[0] == 400
    assert preview(worker, {"threshold": 40, "edition": 1}, "bits")[0] == 404
    assert topic.changes() == 1
    assert in_force(worker) == {"bot": 50, "logins": 5}


@pytest.mark.alone
def test_one_preview_at_a_time_that_ends_with_who_asked_and_with_the_worker(site: Sites) -> None:
    topic = site()
    worker = topic.start()
    wanted = {"threshold": 40, "edition": 1}

    @contextmanager
    def asked() -> Iterator[psutil.Process]:
        with closing(HTTPConnection("127.0.0.1", worker.settings.web_port, timeout=10)) as connection:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/api/v1/rules/bot/preview", json.dumps(wanted), headers)
            (process,) = topic.until(lambda: trying(worker), worker)
            process.suspend()  # so that it does not end by itself
            topic.until(lambda: process.nice() == 19, worker)
            yield process

    with asked():
        status, refused = preview(worker, wanted)
        assert (status, "another preview is under way" in refused["error"]) == (429, True)
    topic.until(lambda: not trying(worker), worker)
    topic.until(lambda: preview(worker, wanted, "nobody")[0] == 404, worker)  # it is free again
    with asked() as process:
        assert worker.terminate() < 15
        assert not process.is_running()
