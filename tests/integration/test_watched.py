"""What is captured and does not come is blindness, within 15 s, whatever Connect says; and no longer."""

import asyncio
import time
from collections.abc import Callable, Iterator
from signal import SIGCONT, SIGSTOP
from typing import Any

import psutil
import psycopg
import pytest

from clickwarden.sandbox import shop
from clickwarden.sandbox.connect import Connect
from clickwarden.sandbox.postgres import SETTINGS, SUPERUSER, Postgres
from tests.capturing import Stack
from tests.site import Site, Worker

pytestmark = pytest.mark.alone

#: What the operator is promised.
SECONDS = 15.0
#: Connect tries each 10 s, and PostgreSQL and Kafka have to be there before it does.
BACK_SECONDS = 60.0
#: Of PostgreSQL's log, in segments of 16 MB, a slot that nobody reads keeps no more.
KEPT_MB = 64
TABLE = "CREATE TABLE clicks (user_id text, event text, product_id text, timestamp timestamptz, note text)"
INSERT = "INSERT INTO clicks VALUES ('ann', 'view', 'p', now(), %s)"


@pytest.fixture(scope="module")
def stack(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("watched")
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setitem(SETTINGS, "max_slot_wal_keep_size", f"{KEPT_MB}MB")
    with (
        Postgres(folder / "postgres", port=0) as postgres,
        Connect(folder / "connect", kafka, group="watched", port=0) as connect,
    ):
        asyncio.run(shop.open_at(postgres))
        yield Stack(postgres, connect)
    monkeypatch.undo()


@pytest.fixture
def watched(stack: Stack, site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """A worker that counts the clicks of a table, and may ask PostgreSQL no more than anybody may."""
    with psycopg.connect(stack.postgres.url(SUPERUSER, "postgres"), autocommit=True) as admin:
        password = stack.postgres.password_of("watcher")
        admin.execute("DROP ROLE IF EXISTS watcher")
        admin.execute(f"CREATE ROLE watcher LOGIN PASSWORD '{password}'")
        admin.execute("GRANT pg_read_all_stats TO watcher")
    with psycopg.connect(stack.postgres.url(shop.OWNER, shop.DATABASE), autocommit=True) as owner:
        owner.execute("DROP TABLE IF EXISTS clicks")
        owner.execute(TABLE)
        owner.execute("ALTER TABLE clicks REPLICA IDENTITY FULL")
    registered = stack.command("register", "public.clicks", "--key", "user_id")
    assert registered.returncode == 0, registered.stderr
    monkeypatch.setenv("PGPASSFILE", str(stack.postgres.passwords))
    here = site(
        clicks_topic="debezium.public.clicks",
        partitions=4,
        connect_url=stack.connect.url,
        capture_database=stack.postgres.address("watcher", shop.DATABASE),
    )
    worker = here.start()
    here.until(lambda: worker.ask("/api/v1/now")[1]["verdict"]["state"] == "quiet", worker)
    yield worker
    worker.kill()
    assert stack.command("remove").returncode == 0


def write(stack: Stack, note: str = "") -> None:
    with psycopg.connect(stack.postgres.url(shop.OWNER, shop.DATABASE), autocommit=True) as owner:
        owner.execute(INSERT, [note])


def until(worker: Worker, condition: Callable[[dict[str, Any]], bool], seconds: float) -> dict[str, Any]:
    """What the worker says now, as soon as that is so; and the time it took, which is printed."""
    begun = time.monotonic()
    while True:
        now: dict[str, Any] = worker.ask("/api/v1/now")[1]
        if condition(now):
            print(f"{time.monotonic() - begun:.1f} s: {now['verdict']['text']}")
            return now
        assert time.monotonic() - begun < seconds, now
        time.sleep(0.05)


def await_blind(worker: Worker, text: str) -> None:
    now = until(worker, lambda now: text in now["verdict"]["text"], SECONDS)
    assert (now["verdict"]["state"], now["verdict"]["blind"]) == ("unknown", True)
    assert any(each["blinds"] and each["cure"] for each in now["health"]["findings"])
    assert worker.ask("/ready")[1]["state"] == "blind"
    assert worker.metrics() >= {"clickwarden_blind 1.0", 'clickwarden_finding{about="capture"} 1.0'}


def await_sight(worker: Worker) -> None:
    until(worker, lambda now: now["verdict"]["state"] == "quiet", BACK_SECONDS)
    assert worker.ready


def test_postgresql_away_or_silent_and_connect_away(stack: Stack, watched: Worker) -> None:
    write(stack)
    until(watched, lambda now: now["health"]["accepted"] == 1, SECONDS)
    (capture,) = watched.ask("/api/v1/now")[1]["health"]["captures"]
    assert (capture["connector"], capture["state"], capture["tasks"]) == (
        "clickwarden",
        "RUNNING",
        ["RUNNING"],
    )
    assert (capture["slot"], capture["active"], capture["topics"]) == (
        "reserved",
        True,
        ["debezium.public.clicks"],
    )
    assert {each.partition("{")[0] for each in watched.metrics()} >= {
        "clickwarden_capture_slot_lag_bytes",
        "clickwarden_capture_wal_kept_bytes",
        "clickwarden_capture_slot_room_bytes",
        "clickwarden_capture_heartbeat_age_seconds",
    }
    assert watched.metrics() >= {
        'clickwarden_capture_connector_running{connector="clickwarden"} 1.0',
        'clickwarden_capture_task_running{connector="clickwarden"} 1.0',
        'clickwarden_capture_slot_active{connector="clickwarden"} 1.0',
    }

    stack.postgres.kill()
    await_blind(watched, "PostgreSQL")
    stack.postgres.start()
    await_sight(watched)

    # It takes connections, and answers none.
    first = psutil.Process(int((stack.postgres.data / "cluster" / "postmaster.pid").read_text().split()[0]))
    processes = [first, *first.children()]
    for process in processes:
        process.send_signal(SIGSTOP)
    await_blind(watched, "PostgreSQL")
    for process in processes:
        process.send_signal(SIGCONT)
    await_sight(watched)

    # Connect is there, and does nothing; PostgreSQL takes it for a reader for a minute.
    javas = [each for each in psutil.Process().children() if each.name() == "java"]
    (java,) = [each for each in javas if "org.apache.kafka.connect.cli.ConnectDistributed" in each.cmdline()]
    java.send_signal(SIGSTOP)
    await_blind(watched, "has sent no heartbeat for")
    java.send_signal(SIGCONT)
    await_sight(watched)

    stack.connect.kill()
    await_blind(watched, "nobody reads the slot")
    stack.connect.start()
    await_sight(watched)
    write(stack)
    until(watched, lambda now: now["health"]["accepted"] == 2, SECONDS)
    for secret in (stack.postgres.password_of("watcher"), stack.postgres.password_of(shop.READER)):
        assert secret not in watched.log


def test_a_lost_slot(stack: Stack, watched: Worker) -> None:
    stack.connect.kill()
    with psycopg.connect(stack.postgres.url(SUPERUSER, shop.DATABASE), autocommit=True) as admin:
        for _ in range(KEPT_MB // 16 + 2):
            admin.execute("SELECT pg_logical_emit_message(false, 'test', ''), pg_switch_wal()")
        admin.execute("CHECKPOINT")
    await_blind(watched, "is lost")
    stack.connect.start()
    until(watched, lambda now: [each["state"] for each in now["health"]["captures"]] == ["RUNNING"], SECONDS)
    await_blind(watched, "is lost")


def test_a_dropped_slot(stack: Stack, watched: Worker) -> None:
    with psycopg.connect(stack.postgres.url(SUPERUSER, shop.DATABASE), autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(active_pid, 10000), pg_drop_replication_slot(slot_name) "
            "FROM pg_replication_slots WHERE slot_name = 'clickwarden'"
        )
    await_blind(watched, "no slot")


def test_a_task_that_died_of_a_row(stack: Stack, watched: Worker) -> None:
    write(stack, "x" * 9_000_000)
    await_blind(watched, "clickwarden")
