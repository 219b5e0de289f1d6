"""``inspect`` of topics: what they hold, what is wrong with them, and settings to read them by."""

import json
import time
from collections.abc import Callable
from typing import Any

from clickwarden.settings import Settings
from tests.site import Site, window_before

Sites = Callable[..., Site]


def told(here: Site, *options: str, code: int = 0) -> dict[str, Any]:
    done = here.run("inspect", here.settings.clicks_topic, "--json", *options)
    assert done.returncode == code, done.stderr
    survey: dict[str, Any] = json.loads(done.stdout)
    return survey


def test_the_settings_it_writes_have_a_worker_count_what_it_could_not_read(site: Sites) -> None:
    """The newest records of all partitions; without a setting the worker reads none, with them every one."""
    here = site(partitions=3, idle_timeout=1)
    here.create(**{"message.timestamp.type": "CreateTime"})
    start = window_before(time.time())
    for number in range(300):
        visit = {"ctx": {"uid": f"u-{number % 9}"}, "ts": int(1000 * (start + number / 6)), "verb": "view"}
        key = visit["ctx"]["uid"].encode()  # type: ignore[index]
        here.send(
            json.dumps(visit).encode(), partition=number % 9 % 3, key=key, headers=[("trace", b"\xff\0")]
        )
    here.send(b"not JSON", None, partition=1)

    env = here.folder / ".env"
    env.write_text(
        "# ours\nCLICKWARDEN_SEED=7\nCLICKWARDEN_FIELD_EVENT=wrong\nCLICKWARDEN_TIMESTAMP_FORMAT=%d\nOTHER"
    )
    survey = told(here, "--write", str(env))
    assert survey["records"] == 302
    assert survey["forms"] == {"a JSON object": 300}
    assert (survey["clicks"], survey["ignored"]) == (300, 1)
    assert [(each["reason"], each["count"]) for each in survey["rejected"]] == [("not_json", 1)]
    assert survey["facts"]["key"] == "the user"
    assert "CreateTime" in survey["facts"]["time stamps"]
    assert survey["facts"]["headers"] == "trace"
    assert survey["rules"]["bot"] == 300
    assert [finding["about"] for finding in survey["findings"]] == ["timestamps"]
    assert survey["settings"] == {
        "CLICKWARDEN_FIELD_USER_ID": "ctx.uid",
        "CLICKWARDEN_FIELD_EVENT": "verb",
        "CLICKWARDEN_FIELD_TIMESTAMP": "ts",
    }
    assert env.read_text().splitlines()[:2] == ["# ours", "CLICKWARDEN_SEED=7"]
    assert "OTHER" in env.read_text()
    assert "TIMESTAMP_FORMAT" not in env.read_text()
    read = Settings(_env_file=env)
    fields = {name: getattr(read, name) for name in ("field_user_id", "field_event", "field_timestamp")}
    assert fields == {"field_user_id": "ctx.uid", "field_event": "verb", "field_timestamp": "ts"}

    here.settings = here.settings.model_copy(update=fields)
    worker = here.start()
    here.await_counted(worker)
    assert sum(partition["accepted"] for partition in worker.partitions().values()) == 300


def test_a_topic_that_is_not_keyed_by_user_or_compacted_is_told_of(site: Sites) -> None:
    here = site(partitions=2)
    here.create(**{"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"})
    start = window_before(time.time())
    for number in range(60):
        visit = {"user_id": f"u-{number % 5}", "event": "view", "timestamp": start + number}
        here.send(json.dumps(visit).encode(), partition=number % 2, key=b"session %d" % number)
    survey = told(here)
    assert [finding["about"] for finding in survey["findings"]] == ["key", "compaction"]
    assert survey["facts"]["key"].startswith("not the user; such as session ")
    assert "LogAppendTime" in survey["facts"]["time stamps"]


def test_what_nothing_can_be_read_of_says_what_it_is_and_has_an_exit_code(site: Sites) -> None:
    here = site()
    here.create()
    empty = told(here, code=3)
    assert (empty["records"], empty["settings"]) == (0, {})
    assert "is empty" in empty["warnings"][0]

    here.send(*[b"\0\0\0\0\x07\x02\x06abc"] * 3)
    unread = told(here, code=3)
    assert "schema 7" in unread["rejected"][0]["cure"]
    assert unread["settings"] == {}
    written = here.run("inspect", here.settings.clicks_topic, "--write", str(here.folder / "none"))
    assert written.returncode == 3
    assert "there is nothing to set\n" in written.stderr
    assert not (here.folder / "none").exists()


def test_a_topic_that_does_not_exist_and_a_kafka_that_is_not_there_are_a_sentence(site: Sites) -> None:
    here = site()
    missing = here.run("inspect", here.settings.clicks_topic)
    assert missing.returncode == 1
    assert f"has no topic '{here.settings.clicks_topic}'" in missing.stderr
    assert f"there is no file {here.settings.clicks_topic}" in missing.stderr
    assert missing.stderr.count("\n") == 1

    here.settings = here.settings.model_copy(update={"broker": "kafka://127.0.0.1:1"})
    away = here.run("inspect", here.settings.clicks_topic)
    assert away.returncode == 1
    assert away.stderr.startswith("clickwarden: ")
    assert away.stderr.count("\n") == 1
