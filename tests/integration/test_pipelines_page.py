"""Models put in charge through the page: at every worker, checked as by the command, by nobody foreign."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from clickwarden.detection.lineup import Lineup
from clickwarden.models import artefact
from clickwarden.models.pipeline import Pipeline
from tests.pipelines import BEGIN, appoint, define, payments, put, train
from tests.site import Site, Worker

#: From a change on until every partition has taken it up.
TAKEN_UP_SECONDS = 2.0
TOKEN = "let me in please"


class Scored(NamedTuple):
    """A site whose workers score a pipeline, with two models, of which the first is in the folder."""

    site: Site
    pipeline: Pipeline
    first: str
    second: str
    artefact: bytes

    def put(self) -> None:
        """Have the second one in the topic."""
        put(self.site.settings, self.pipeline, self.second, self.artefact)


@pytest.fixture
def scored(site: Callable[..., Site], tmp_path: Path) -> Callable[..., Scored]:
    def make(**settings: Any) -> Scored:
        folder = tmp_path / "payments"
        made = site(pipelines=str(folder), checkpoint_interval=0.5, **settings)
        pipeline = define(folder, made.settings.clicks_topic.replace("clicks", "payments"))
        second = train(pipeline, seed=2)
        content = artefact.packed(pipeline)
        return Scored(made, pipeline, train(pipeline), second, content)

    return make


def asked(worker: Worker) -> dict[str, Any]:
    (found,) = worker.ask("/api/v1/pipelines")[1]
    answer: dict[str, Any] = found
    return answer


def promote(worker: Worker, wanted: Any, name: str = "payments", **headers: str) -> tuple[int, Any]:
    return worker.send("POST", f"/api/v1/pipelines/{name}/promote", wanted, **headers)


def roll_back(worker: Worker, wanted: Any) -> tuple[int, Any]:
    return worker.send("POST", "/api/v1/pipelines/payments/rollback", wanted)


@pytest.mark.alone
def test_a_model_is_in_charge_in_all_partitions_of_two_workers_within_two_seconds_and_back(
    scored: Callable[..., Scored],
) -> None:
    given = scored(partitions=4)
    site, pipeline, first, second, _ = given
    one, two = site.launch("one"), site.launch("two")
    site.until(lambda: one.ready and two.ready and len(two.partitions()) == 2, one, two)
    given.put()

    def send(seed: int) -> None:
        for partition in range(4):
            part = payments(500, seed=4 * seed + partition, begin=BEGIN + 1000 * seed)
            site.send(*part, topic=pipeline.topic, partition=partition)
        site.until(lambda: not site.behind(pipeline.topic), one, two)

    def in_force(worker: Worker, version: str, edition: int) -> bool:
        now = asked(worker)
        return (now["edition"], now["waiting"], now["models"][0]["version"]) == (edition, [], version)

    site.until(lambda: in_force(one, first, 1), one, two)
    send(0)
    begun = time.monotonic()
    status, change = promote(one, {"version": second, "edition": 1, "why": "  <b>it has learnt</b>\n"})
    assert status == 200, change
    assert (change["number"], change["what"], change["champion"]) == (2, f"promote {second}", second)
    site.until(lambda: in_force(two, second, 2), one, two)
    seconds = time.monotonic() - begun
    print(f"in charge in all partitions of two workers {seconds:.2f} s after it was asked for")
    assert seconds <= TAKEN_UP_SECONDS
    newest = asked(two)["changes"][0]
    assert (newest["who"], newest["why"]) == ("the page of one, from 127.0.0.1", "<b>it has learnt</b>")
    send(1)
    assert asked(two)["former"] == first
    status, change = roll_back(two, {"edition": 2, "why": "false alarms"})
    assert (status, change["what"], change["champion"]) == (200, f"roll back to {first}", first)
    site.until(lambda: in_force(one, first, 3), one, two)
    send(2)
    told = [anomaly["scored"]["version"] for anomaly in site.anomalies() if anomaly["scored"]]
    assert set(told) == {first, second}
    done = site.run("verify", str(pipeline.folder), "--json")
    found = json.loads(done.stdout)
    assert (found["ok"], found["reported"]) == (True, len(told)), found


def test_what_is_wrong_is_refused_in_a_sentence_and_changes_nothing(scored: Callable[..., Scored]) -> None:
    given = scored()
    site, pipeline, first, second, content = given
    worker = site.start()
    given.put()
    put(site.settings, pipeline, "0123456789ab", content[:-100])
    put(site.settings, pipeline, "ba9876543210", content)
    site.until(lambda: len(asked(worker)["models"]) == 4, worker)
    faults = {model["version"]: model["fault"] for model in asked(worker)["models"]}
    assert (faults[first], faults[second]) == ("", "")
    cut = "model 0123456789ab of pipeline payments is refused: is cut off, or none of ours"
    assert faults["0123456789ab"].startswith(cut)
    good = {"version": second, "edition": 1, "why": "w"}
    for wanted, status, field, said in (
        (good | {"version": 7}, 400, "version", "version: expected `str`, got `int`; see docs/api.md"),
        (good | {"version": "<b>"}, 404, "version", "version: there is no model '<b>' of pipeline payments"),
        (good | {"version": "0123456789ab"}, 400, "version", f"version: {cut}"),
        (good | {"version": "ba9876543210"}, 400, "version", f"is refused: is version {second}"),
        (good | {"version": first}, 400, "version", f"version: {first} is in charge of payments already"),
        ({"version": second, "why": "w"}, 400, "edition", "edition: is missing; it is the edition"),
        (good | {"edition": 2}, 400, "edition", "edition: 2 is no change; the newest is 1"),
        (good | {"edition": -1}, 400, "edition", "edition: -1 is no change"),
        (good | {"why": " \n"}, 400, "why", "why: has 0 characters; say in 1 to 500"),
        (good | {"why": "x" * 501}, 400, "why", "why: has 501 characters"),
        (good | {"shadow": True}, 400, "shadow", "shadow: there is no such field; there are edition, why"),
        (b"[]", 400, "", "the body: expected `object`, got `array`"),
    ):
        answer = promote(worker, wanted)
        assert (answer[0], answer[1]["field"]) == (status, field), answer
        assert said in answer[1]["error"]
    status, refused = promote(worker, good, "payment")
    assert (status, refused["error"]) == (
        404,
        "payment: this worker scores no pipeline of that name; there are: payments",
    )
    status, refused = roll_back(worker, {"edition": 1, "why": "w"})
    assert (status, refused["error"]) == (
        400,
        "pipeline payments had no other champion; 'trained list' shows what there is",
    )
    # In the same words as by the command.
    for version, said in (("0123456789ab", cut), ("no", "there is no model 'no' of pipeline payments")):
        done = site.run("trained", "promote", str(pipeline.folder), version)
        assert done.returncode == 1
        assert said in done.stderr
    assert asked(worker)["edition"] == 1


def test_who_comes_second_is_told_who_was_first_and_nothing_is_lost(scored: Callable[..., Scored]) -> None:
    given = scored()
    site, pipeline, first, second, _ = given
    worker = site.start()
    given.put()
    # Also while the worker has not heard of it yet.
    appoint(site.settings, pipeline, Lineup(first, (second,)), what="shadow it", who="<i>eve</i>")
    status, refused = promote(worker, {"version": second, "edition": 1, "why": "w"})
    assert (status, refused["field"]) == (409, "edition")
    assert refused["error"].startswith(
        "<i>eve</i> was first, and has changed the models of payments, too (shadow it); look at what they"
    )
    assert roll_back(worker, {"edition": 1, "why": "w"})[0] == 409
    answers: list[int] = []

    def ask() -> None:
        answers.append(promote(worker, {"version": second, "edition": 2, "why": "w"})[0])

    asking = [threading.Thread(target=ask) for _ in range(10)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert answers.count(200) == 1
    assert set(answers) <= {200, 409, 429}
    now = site.until(lambda: not (now := asked(worker))["waiting"] and now, worker)
    assert (now["edition"], now["former"], now["models"][0]["version"]) == (3, first, second)
    assert [change["what"] for change in now["changes"][:2]] == [f"promote {second}", "shadow it"]


@pytest.mark.parametrize("token", ["", TOKEN])
def test_a_foreign_page_changes_nothing_and_neither_does_who_has_no_token(
    scored: Callable[..., Scored], token: str
) -> None:
    given = scored(**({"web_token": token} if token else {}))
    site = given.site
    worker = site.launch()
    allowed = {"Authorization": f"Bearer {token}"} if token else {}
    site.until(lambda: worker.ready, worker)
    given.put()
    wanted = {"version": given.second, "edition": 1, "why": "w"}
    own = f"http://127.0.0.1:{worker.settings.web_port}"
    for headers, status in (
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": own, "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": own, "Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ):
        assert promote(worker, wanted, **allowed | headers)[0] == status, headers
    if token:
        assert promote(worker, wanted)[0] == 401
        assert promote(worker, wanted, Authorization="Bearer wrong")[0] == 401
    else:
        assert promote(worker, wanted, Host="evil.example")[0] == 421
    status, change = promote(worker, wanted, **allowed | {"Origin": own, "Sec-Fetch-Site": "same-origin"})
    assert (status, change.get("number")) == (200, 2), change
