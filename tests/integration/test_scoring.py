"""Topics of pipelines are scored beside the clicks, each record once, killed anywhere."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clickwarden.detection.lineup import Appointment, Lineup
from clickwarden.kafka import topics
from clickwarden.kafka.modelstopic import ModelsTopic
from clickwarden.models import artefact
from clickwarden.models.pipeline import Pipeline
from clickwarden.times import epoch
from tests.pipelines import BEGIN, days, define, payments, train
from tests.site import Site, Worker, clicks, minute_over

Sites = Callable[..., Site]


@pytest.fixture
def scored(site: Sites, tmp_path: Path) -> tuple[Site, Pipeline]:
    """A site whose workers score a pipeline with a model of its own, in two partitions."""
    folder = tmp_path / "payments"
    made = site(pipelines=str(folder), partitions=2, checkpoint_interval=0.5)
    pipeline = define(folder, made.settings.clicks_topic.replace("clicks", "payments"))
    train(pipeline)
    return made, pipeline


def verdict(site: Site, pipeline: Pipeline) -> dict[str, Any]:
    done = site.run("verify", str(pipeline.folder), "--json")
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def put(site: Site, pipeline: Pipeline, *action: str) -> str:
    done = site.run("trained", *action)
    assert done.returncode == 0, done.stderr
    return done.stdout


def scored_beyond(site: Site, pipeline: Pipeline, records: int) -> bool:
    """Whether more of its records are scored for good."""
    return sum(site.committed(pipeline.topic).values()) > records


def asked(worker: Worker) -> dict[str, Any]:
    """What the API says of the pipeline."""
    (found,) = worker.ask("/api/v1/pipelines")[1]
    answer: dict[str, Any] = found
    return answer


def challenger(worker: Worker) -> dict[str, Any]:
    """What the API says of the challenger, when both have found something."""
    if not worker.ready:
        return {}
    (found,) = worker.ask("/api/v1/pipelines")[1]
    return next((each for each in found["challengers"] if each["both"]), {})


def broken(site: Site, pipeline: Pipeline) -> None:
    """Somebody puts in charge what is no model."""

    async def write() -> None:
        topic = ModelsTopic(site.settings)
        await topic.read()
        await topic.put(pipeline.name, "0123456789ab", artefact.packed(pipeline)[:-100])
        number = len(topic.appointments(pipeline.name)) + 1
        about = {"what": "break it", "who": "a test", "when": "2026-01-01T00:00:00Z"}
        await topic.appoint(pipeline.name, Appointment(number=number, lineup=Lineup("0123456789ab"), **about))

    asyncio.run(write())


def test_killed_and_given_other_models_under_load_nothing_is_missing_invented_or_said_in_two_ways(
    scored: tuple[Site, Pipeline],
) -> None:
    site, pipeline = scored
    folder, topic = str(pipeline.folder), pipeline.topic
    worker = site.start()
    start = minute_over()
    over = threading.Event()
    sent = 0

    def load() -> None:
        nonlocal sent
        producer = site.producer()
        while not over.is_set() or sent < 8_000:
            part = payments(200, seed=sent, begin=BEGIN + sent)
            site.send(*part[:100], by=producer, topic=topic, partition=0)
            site.send(*part[100:], by=producer, topic=topic, partition=1)
            site.send(*clicks(f"bot-{sent}", 60, start, start + 50), by=producer)
            sent += 200
            over.wait(0.3)

    loading = threading.Thread(target=load)
    loading.start()
    try:
        worker.kill()
        worker = site.start()
        first, second = artefact.load(pipeline).manifest.version, train(pipeline, 2, "autoencoder_window")
        assert artefact.load(pipeline).manifest.thresholds  # cards have their own
        assert f"model {second} of payments is in" in put(site, pipeline, "put", folder)
        put(site, pipeline, "shadow", folder, second)
        beside = site.until(lambda: challenger(worker), worker)
        assert beside["version"] == second
        assert 0 < beside["both"] <= min(beside["alarms"], beside["champion_alarms"])
        either = beside["alarms"] + beside["champion_alarms"] - beside["both"]
        assert beside["agreement"] == pytest.approx(beside["both"] / either, abs=1e-4)
        assert f"{second} is in charge" in put(site, pipeline, "promote", folder, second)
        broken(site, pipeline)
        refused = "Model 0123456789ab of pipeline payments is refused: is cut off, or none of ours"
        site.until(lambda: refused in worker.log, worker)
        worker.kill()
        worker = site.start()
        assert f"{first} is in charge" in put(site, pipeline, "promote", folder, first)
    finally:
        over.set()
        loading.join()
    site.until(lambda: not site.behind(topic), worker)
    site.await_counted(worker)
    found = verdict(site, pipeline)
    assert (found["missing"], found["invented"], found["conflicting"]) == (0, 0, 0), found["examples"]
    assert found["expected"] == found["reported"] > 100
    assert found["fates"].keys() == {"taken", "late", "keyless", "unreadable"}
    assert sum(found["fates"].values()) == sent
    told = [anomaly for anomaly in site.anomalies() if anomaly["scored"]]
    kinds = {(anomaly["scored"]["version"], anomaly["shadow"]) for anomaly in told}
    assert kinds == {(first, False), (second, False), (second, True)}
    counted = site.verdict()
    assert (counted.ok, counted.reported) == (True, sent // 200)
    assert {each["pipeline"] for each in site.incidents().values()} == {"", "payments"}


def test_models_that_are_changed_before_the_first_record_score_it(scored: tuple[Site, Pipeline]) -> None:
    site, pipeline = scored
    folder = str(pipeline.folder)
    worker = site.start()
    first, second = artefact.load(pipeline).manifest.version, train(pipeline, seed=2)
    put(site, pipeline, "put", folder)
    assert "taken up in all partitions" in put(site, pipeline, "promote", folder, second)
    assert "taken up in all partitions" in put(site, pipeline, "shadow", folder, first)
    site.send(*payments(1000), topic=pipeline.topic)
    site.until(lambda: not site.behind(pipeline.topic), worker)
    told = [anomaly for anomaly in site.anomalies() if anomaly["scored"]]
    assert {(each["scored"]["version"], each["shadow"]) for each in told} == {(second, False), (first, True)}
    assert verdict(site, pipeline)["ok"]


def test_days_are_held_against_the_model_that_was_put_in_charge_before_the_first_record(
    scored: tuple[Site, Pipeline],
) -> None:
    site, pipeline = scored
    folder = str(pipeline.folder)
    train(pipeline, values=days(3, 9, first=-4))
    worker = site.start()
    second = train(pipeline, values=days(3, 9, first=-4, usual=5))
    put(site, pipeline, "put", folder)
    assert "taken up in all partitions" in put(site, pipeline, "promote", folder, second)
    site.send(
        *days(3, 1), *days(1, 2, 3)[:60], topic=pipeline.topic
    )  # as the first has learnt, not the second
    site.until(lambda: not site.behind(pipeline.topic), worker)
    found = verdict(site, pipeline)
    assert (found["ok"], found["drift"]) == (True, 1), found["examples"]


def told(worker: Worker) -> dict[str, Any]:
    found: dict[str, Any] = worker.ask("/api/v1/now")[1]["verdict"]
    return found


def test_a_pipeline_without_a_model_waits_and_says_so_while_clicks_are_counted(
    site: Sites, tmp_path: Path
) -> None:
    folder = tmp_path / "payments"
    made = site(pipelines=str(folder))
    pipeline = define(folder, made.settings.clicks_topic.replace("clicks", "payments"))
    worker = made.launch()
    made.until(lambda: "Pipeline payments has no model" in worker.log, worker)
    made.until(lambda: "Worker ready" in worker.log and worker.state == "blind", worker)
    made.until(lambda: told(worker)["blind"], worker)
    assert told(worker)["state"] == "unknown"
    made.send(*payments(500), topic=pipeline.topic)
    made.send(*clicks("bot", 60, minute_over(), minute_over() + 50))
    made.await_counted(worker)
    status = worker.ask("/api/v1/status")[1]
    assert "Pipeline payments: pipeline payments has no model" in status["detail"]
    assert "Pipeline payments: pipeline payments has no model" in told(worker)["text"]
    made.until(lambda: worker.ask("/api/v1/pipelines")[1][0]["lag"] == 500, worker)
    assert made.behind(pipeline.topic) == {0: 500}
    version = train(pipeline)
    put(made, pipeline, "put", str(folder))
    assert f"{version} is in charge" in put(made, pipeline, "promote", str(folder), version)
    made.until(lambda: not made.behind(pipeline.topic), worker)
    made.until(lambda: worker.ready, worker)
    (partition,) = worker.ask("/api/v1/status")[1]["pipelines"][0]["partitions"]
    assert partition["champion"] == version
    assert partition["scored"] + partition["late"] + sum(partition["rejected"].values()) == 500
    assert verdict(made, pipeline)["ok"]


def test_killed_on_any_day_each_day_of_drift_is_told_once_of_the_pipeline(
    scored: tuple[Site, Pipeline],
) -> None:
    site, pipeline = scored
    train(pipeline, values=days(3, 9, first=-4))
    worker = site.start()
    log = [[*days(3, seed), *days(2, seed + 1, 3, usual=5), *days(1, seed + 2, 5)[:60]] for seed in (1, 4)]
    parts = [range(begin, begin + 900) for begin in range(0, len(log[0]), 900)]
    for part in parts:
        for partition, values in enumerate(log):
            site.send(*values[part.start : part.stop], topic=pipeline.topic, partition=partition)
        if part.start // 900 in (5, 9, 11):  # in a clean day, in one of drift, and where that is told
            site.until(partial(scored_beyond, site, pipeline, part.stop), worker)
            worker.kill()
            worker = site.start()
    site.until(lambda: not site.behind(pipeline.topic), worker)
    site.until(lambda: len([each for each in site.anomalies() if each["drift"]]) >= 4, worker)
    found = verdict(site, pipeline)
    assert (found["missing"], found["invented"], found["conflicting"]) == (0, 0, 0), found["examples"]
    assert found["drift"] == 4
    drift = {each["alert_id"]: each for each in site.anomalies() if each["drift"]}
    assert sorted((each["partition"], each["drift"]["day"]) for each in drift.values()) == [
        (0, "2025-10-13"), (0, "2025-10-14"), (1, "2025-10-13"), (1, "2025-10-14"),
    ]  # fmt: skip
    site.until(lambda: any(each["category"] == "drift" for each in site.incidents().values()), worker)
    (incident,) = [each for each in site.incidents().values() if each["category"] == "drift"]
    assert (incident["user_id"], incident["pipeline"]) == ("pipeline/payments", "payments")
    assert site.verdict().ok
    view = worker.ask("/api/v1/pipelines")[1][0]
    assert [(day["day"], day["partitions"], day["drifted"]) for day in view["days"]] == [
        ("2025-10-14", 2, 2), ("2025-10-13", 2, 2), ("2025-10-12", 2, 0),
    ]  # fmt: skip
    last = view["days"][0]
    assert last["features"][0]["feature"] == "log1p(amount)"
    assert last["features"][0]["shift"] > 1 > last["features"][0]["limit"]
    of_day = [each["drift"]["records"] for each in drift.values() if each["drift"]["day"] == last["day"]]
    assert last["records"] == sum(of_day)
    assert last["budget"] == pytest.approx(last["records"] * artefact.load(pipeline).manifest.share, abs=0.2)
    assert 0 < view["latency"]["median"] <= view["latency"]["p99"]
    kinds = worker.ask("/api/v1/anomalies?kind=drift")[1]
    assert {each["alert_id"] for each in kinds["anomalies"]} == set(drift)
    shifts = [each for each in worker.metrics() if each.startswith("clickwarden_pipeline_feature_shift{")]
    assert len(shifts) == 2 * len(pipeline.feature_names)
    assert 'clickwarden_pipeline_day_drifted{partition="0",pipeline="payments"}' in {
        each.rpartition(" ")[0] for each in worker.metrics()
    }


def test_labels_that_come_before_or_behind_their_records_say_how_often_models_are_right(
    scored: tuple[Site, Pipeline],
) -> None:
    site, pipeline = scored
    worker = site.start()
    values = payments(3_000, seed=7)
    truth = {
        payment["id"]: payment["amount"] > 1000
        for payment in (json.loads(value) for value in values if value != b"{")
        if "card" in payment
    }

    def label(ids: Iterable[str]) -> None:
        for id in ids:
            said = json.dumps({"label": "fraud" if truth[id] else ""}).encode()
            site.send(said, topic=pipeline.labels, key=id.encode())

    label(list(truth)[:1_000])
    site.send(*values, topic=pipeline.topic)
    site.until(lambda: not site.behind(pipeline.topic), worker)
    label(list(truth)[1_000:])
    alarmed = {each["scored"]["record_id"] for each in site.anomalies() if each["scored"]}
    frauds = {id for id, fraud in truth.items() if fraud}
    expected = (len(frauds), len(frauds & alarmed), len(alarmed), len(alarmed - frauds))

    def said() -> bool:
        found = worker.ask("/api/v1/pipelines")[1][0]["labelled"]
        models = found["models"] or [{"alarms": 0, "refuted": 0}]
        return (found["abnormal"], found["found"], models[0]["alarms"], models[0]["refuted"]) == expected

    site.until(said, worker)
    assert expected[1] > 10
    worker.kill()
    worker = site.start()
    site.until(said, worker)
    recall = f'clickwarden_pipeline_recall{{pipeline="payments"}} {round(expected[1] / expected[0], 4)}'
    assert recall in worker.metrics()
    precision = 'clickwarden_pipeline_precision{pipeline="payments",version="'
    assert any(each.startswith(precision) for each in worker.metrics())


def test_trained_anew_by_labels_and_feedback_it_scores_in_shadow(scored: tuple[Site, Pipeline]) -> None:
    site, pipeline = scored
    folder = str(pipeline.folder)
    worker = site.start()
    values = payments(3_000, seed=8)
    site.send(*values[:2_000], topic=pipeline.topic, partition=0)
    site.send(*values[2_000:], topic=pipeline.topic, partition=1)
    site.until(lambda: not site.behind(pipeline.topic), worker)
    first, second = [each for each in site.anomalies() if each["scored"] and each["partition"] == 0][:2]
    site.send(b'{"label": ""}', topic=pipeline.labels, key=second["scored"]["record_id"].encode())
    site.until(lambda: first["incident_id"] in site.incidents(), worker)
    path = f"/api/v1/feedback/{first['incident_id']}"
    site.until(lambda: worker.send("POST", path, {"verdict": "bot"})[0] == 200, worker)
    model = (pipeline.folder / "model" / "manifest.json").read_bytes()
    champion = artefact.load(pipeline).manifest.version

    done = site.run("train", folder, "--since", "30d", "--with-feedback", "--seed", "5")
    assert done.returncode == 0, done.stderr
    assert "1 label, and 1 incident of which people said what they were" in done.stdout
    assert f"{champion} is in charge, beside it " in done.stdout
    assert (pipeline.folder / "model" / "manifest.json").read_bytes() == model
    listed = {
        each["version"]: each["role"] for each in json.loads(put(site, pipeline, "list", folder, "--json"))
    }
    (fresh,) = listed.keys() - {champion}
    assert listed == {champion: "champion", fresh: "challenger"}
    data = json.loads(put(site, pipeline, "show", folder, fresh))["data"]
    taken = worker.ask("/api/v1/pipelines")[1][0]["scored"]
    incident = site.incidents()[first["incident_id"]]
    apart = sum(
        payment.get("card") == first["user_id"]
        and epoch(incident["since"]) <= payment["at"] <= epoch(incident["last_seen"])
        for payment in (json.loads(value) for value in values[:2_000] if value != b"{")
    )
    assert apart > 0
    assert (data["records"], data["learnt"]) == (3_000, int(taken * 0.6) - apart)

    site.send(*payments(1_000, seed=9, begin=BEGIN + 3_000), topic=pipeline.topic, partition=0)
    site.until(lambda: challenger(worker).get("version") == fresh, worker)
    site.until(lambda: not site.behind(pipeline.topic), worker)
    assert verdict(site, pipeline)["ok"]
    again = site.run("train", folder, "--since", "30d", "--detector", "logreg")
    assert again.returncode == 1
    assert "learns from labels of both kinds" in again.stderr


def test_what_cannot_be_trained_anew_is_said_in_one_sentence(site: Sites, tmp_path: Path) -> None:
    folder = tmp_path / "payments"
    made = site(pipelines=str(folder))
    define(folder, made.settings.clicks_topic.replace("clicks", "payments"))
    worker = made.launch()
    made.until(lambda: "Pipeline payments has no model" in worker.log, worker)
    done = made.run("train", str(folder), "--since", "7d")
    assert done.returncode == 1
    assert "has no model in charge, beside which another could be in shadow" in done.stderr
    assert "Traceback" not in done.stderr


def test_records_that_say_nothing_or_no_text_stop_no_worker(scored: tuple[Site, Pipeline]) -> None:
    site, pipeline = scored
    worker = site.start()
    site.send(None, topic=pipeline.topic)
    for number, field in enumerate(("id", "card", "shop")):
        for value in payments(200, seed=5 + number, begin=BEGIN + 200 * number):
            broken = (
                value
                if value == b"{"
                else value.replace(f'"{field}": "'.encode(), f'"{field}": "\\ud800'.encode())
            )
            site.send(broken, topic=pipeline.topic)
    site.until(lambda: not site.behind(pipeline.topic), worker)
    found = verdict(site, pipeline)
    assert (found["ok"], found["missing"], found["invented"]) == (True, 0, 0), found["examples"]
    assert any("\ufffd" in each["user_id"] for each in site.anomalies() if each["scored"])


def test_a_file_replayed_into_the_topic_is_scored(scored: tuple[Site, Pipeline]) -> None:
    site, pipeline = scored
    train(pipeline)
    worker = site.start()
    values = payments(500, seed=9)
    file = site.write("payments.ndjson", "\n".join(value.decode() for value in values))
    replay = ("replay", "--pipeline", str(pipeline.folder))
    done = site.run(*replay, str(file))
    assert f"500 records into the topic {pipeline.topic};" in done.stdout, done.stderr
    assert {record.value for record in site.read(pipeline.topic)} == set(values)
    site.until(lambda: not site.behind(pipeline.topic), worker)
    found = verdict(site, pipeline)
    assert (found["ok"], found["missing"], found["invented"]) == (True, 0, 0), found["examples"]
    assert any(each["scored"] for each in site.anomalies())
    refused = site.run(*replay, str(file), "--shuffle-within", "5")
    assert refused.returncode == 1
    assert "--pipeline: shuffle_within is said of clicks; --speed alone goes with it" in refused.stderr


def scored_all(site: Site, pipeline: Pipeline) -> bool:
    return not site.behind(pipeline.topic)


def test_a_pipeline_more_or_less_is_taken_up_by_a_worker_that_comes_back(site: Sites, tmp_path: Path) -> None:
    made = site()
    folders = [tmp_path / name for name in ("payments", "refunds")]
    first, second = (
        define(folder, made.settings.clicks_topic.replace("clicks", folder.name)) for folder in folders
    )
    toml = folders[1] / "pipeline.toml"
    toml.write_text(toml.read_text().replace('name = "payments"', 'name = "refunds"'))
    for pipeline in (first, second):
        train(Pipeline.load(pipeline.folder))
    for known in ([], [first], [first, second], [second]):
        worker = made.start(pipelines=",".join(str(pipeline.folder) for pipeline in known))
        for pipeline in known:
            made.send(*payments(100, seed=len(known)), topic=pipeline.topic)
            made.until(partial(scored_all, made, pipeline), worker)
        made.send(*clicks("ann", 10, minute_over(), minute_over() + 9))
        made.await_counted(worker)
        worker.terminate()


def test_a_topic_teaches_what_a_file_of_its_records_does(site: Sites, tmp_path: Path) -> None:
    folder = tmp_path / "payments"
    made = site()
    pipeline = define(folder, made.settings.clicks_topic.replace("clicks", "payments"))
    values = [value for value in payments(2_000, seed=3) if value != b"{"]
    data = made.write("payments.ndjson", "\n".join(value.decode() for value in values))
    large = {each["id"]: each["amount"] > 100 for each in map(json.loads, values)}
    rows = "".join(f"{name},{int(abnormal)}\n" for name, abnormal in large.items())
    labels = made.write("labels.csv", f"id,label\n{rows}")
    assert made.run("replay", "--pipeline", str(folder), str(data)).returncode == 0
    asyncio.run(topics.declare(made.settings, topics.labelled(made.settings, pipeline.labels)))
    for name, abnormal in large.items():
        made.send(json.dumps({"label": int(abnormal)}).encode(), topic=pipeline.labels, key=name.encode())

    def learnt(*options: str) -> dict[str, Any]:
        done = made.run("train", str(folder), "--detector", "logreg", *options)
        assert done.returncode == 0, done.stderr
        manifest = artefact.load(pipeline).manifest
        return {"threshold": manifest.threshold, "metrics": manifest.metrics}

    of_file = learnt("--data", str(data), "--labels", str(labels))
    assert of_file["metrics"]["pr_auc"] > 0.5
    for given in ((), ("--labels", pipeline.labels), ("--labels", str(labels))):
        assert learnt("--data", pipeline.topic, *given) == of_file
    assert learnt("--data", str(data), "--labels", pipeline.labels) == of_file
    wrong = made.run("train", str(folder), "--data", "paymnets.ndjson")
    assert wrong.returncode == 1
    assert "--data: there is no file paymnets.ndjson; and as a topic: " in wrong.stderr


@pytest.fixture
def online(site: Sites, tmp_path: Path) -> tuple[Site, Pipeline]:
    """A site whose workers score a pipeline with no model, in two partitions."""
    folder = tmp_path / "payments"
    made = site(pipelines=str(folder), partitions=2, checkpoint_interval=0.5)
    topic = made.settings.clicks_topic.replace("clicks", "payments")
    return made, define(folder, topic, detector="online")


def test_with_no_history_it_is_scored_by_what_learns_meanwhile_killed_anywhere_until_a_model_takes_over(
    online: tuple[Site, Pipeline],
) -> None:
    site, pipeline = online
    folder, topic = str(pipeline.folder), pipeline.topic
    worker = site.start()
    site.send(*payments(100, seed=1, begin=BEGIN - 2_000), topic=topic, partition=0)
    site.until(lambda: scored_beyond(site, pipeline, 99), worker)
    assert worker.state == "ready"
    site.until(lambda: asked(worker)["scored"] > 80, worker)
    view = asked(worker)
    assert (view["trouble"], view["champions"], view["waiting"]) == ("", ["online-1000"], [])
    assert view["learning"] == {"0": 250 - view["scored"], "1": 250}
    said = "Quiet, as far as can be seen: pipeline payments learns what is usual"
    site.until(lambda: worker.ask("/api/v1/now")[1]["verdict"]["text"] == said, worker)
    over = threading.Event()
    sent = 100

    def load() -> None:
        nonlocal sent
        producer = site.producer()
        while sent < (8_000 if over.is_set() else 15_000):
            part = payments(100, seed=sent, begin=BEGIN + sent)
            site.send(*part[:50], by=producer, topic=topic, partition=0)
            site.send(*part[50:], by=producer, topic=topic, partition=1)
            sent += 100
            over.wait(0.3)

    loading = threading.Thread(target=load)
    loading.start()
    try:
        for records in (300, 900, 1_700, 2_500, 3_100):  # while it learns, and behind that
            site.until(partial(scored_beyond, site, pipeline, records), worker)
            worker.kill()
            worker = site.start()
        site.until(lambda: scored_beyond(site, pipeline, 5_000), worker)
        version = train(pipeline)
        put(site, pipeline, "put", folder)
        assert "taken up in all partitions" in put(site, pipeline, "promote", folder, version)
        worker.kill()
        worker = site.start()
    finally:
        over.set()
        loading.join()
    site.send(*payments(1_000, seed=2, begin=BEGIN + sent), topic=topic, partition=0)
    site.until(lambda: not site.behind(topic), worker)
    found = verdict(site, pipeline)
    assert (found["missing"], found["invented"], found["conflicting"]) == (0, 0, 0), found["examples"]
    assert found["expected"] == found["reported"] > 50
    told = [each["scored"] for each in site.anomalies() if each["scored"]]
    by = {(each["detector"], each["version"]) for each in told}
    assert by == {("online", "online-1000"), ("iforest", version)}
    site.until(lambda: asked(worker)["champions"] == [version], worker)
    assert asked(worker)["learning"] == {}


def test_a_model_that_is_in_the_folder_when_a_worker_starts_takes_over_from_what_learns(
    online: tuple[Site, Pipeline],
) -> None:
    site, pipeline = online
    worker = site.start()
    site.send(*payments(400, seed=1), topic=pipeline.topic, partition=1)
    site.until(lambda: not site.behind(pipeline.topic), worker)
    worker.kill()
    version = train(pipeline)  # it is put in charge by the worker that starts
    worker = site.start()
    site.send(*payments(400, seed=2, begin=BEGIN + 400), topic=pipeline.topic, partition=1)
    site.until(lambda: not site.behind(pipeline.topic), worker)
    site.until(lambda: asked(worker)["champions"] == [version], worker)
    assert verdict(site, pipeline)["ok"]


def test_with_another_budget_all_of_it_is_learnt_anew_from_an_offset_that_is_told(
    online: tuple[Site, Pipeline],
) -> None:
    site, pipeline = online
    worker = site.start()
    site.send(*payments(1_500, seed=1), topic=pipeline.topic, partition=1)
    site.until(lambda: any(each["scored"] for each in site.anomalies()), worker)
    worker.kill()
    file = pipeline.folder / "pipeline.toml"
    file.write_text(file.read_text().replace("budget = 2000", "budget = 1500"))
    worker = site.start()
    site.send(*payments(1_500, seed=2, begin=BEGIN + 1_500), topic=pipeline.topic, partition=1)
    site.until(lambda: not site.behind(pipeline.topic), worker)
    site.until(lambda: asked(worker)["champions"] == ["online-750"], worker)
    found = verdict(site, pipeline)
    assert (found["missing"], found["invented"], found["conflicting"]) == (0, 0, 0), found["examples"]
    by = {each["scored"]["version"] for each in site.anomalies() if each["scored"]}
    assert by == {"online-1000", "online-750"}
