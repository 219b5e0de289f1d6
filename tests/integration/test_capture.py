"""``faust -A app connect``: each change of a table once, no secret anywhere, nothing left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from aiokafka import ConsumerRecord
from confluent_kafka.admin import NewTopic

from clickwarden.models.pipeline import Pipeline
from clickwarden.sandbox import shop
from clickwarden.sandbox.connect import Connect
from clickwarden.sandbox.postgres import Postgres
from clickwarden.sources import captured
from clickwarden.sources.captured import connected
from tests.capturing import Stack, reading, told
from tests.pipelines import BEGIN, define, payments, train
from tests.site import Site

pytestmark = pytest.mark.alone

TOPIC = "debezium.public.transactions"
FAUST = (sys.executable, "-m", "faust", "-A", "app")
CAPTURE = ("public.transactions", "--key", "card_id")


@pytest.fixture(scope="module")
def stack(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("capture")
    with (
        Postgres(folder / "postgres", port=0) as postgres,
        Connect(folder / "connect", kafka, group="captured", port=0) as connect,
    ):
        asyncio.run(shop.open_at(postgres))
        yield Stack(postgres, connect)


@pytest.fixture
def owner(stack: Stack) -> Iterator[psycopg.Connection]:
    with psycopg.connect(stack.postgres.url(shop.OWNER, shop.DATABASE), autocommit=True) as connection:
        yield connection


def operations(records: list[ConsumerRecord[bytes, bytes]]) -> list[tuple[str, Any]]:
    """Each change, and the row's id and amount, behind it or, where it is gone, before."""
    found = []
    for record in records:
        change = told(record)
        if change is None:
            found.append(("tombstone", json.loads(record.key)["card_id"]))
        else:
            row = change["after"] or change["before"] or {}
            found.append((change["op"], (row.get("tx_id"), row.get("amount"))))
    return found


async def test_a_table_is_captured_from_its_first_row_to_the_removal(
    stack: Stack, kafka: str, owner: psycopg.Connection
) -> None:
    insert = "INSERT INTO transactions (card_id, amount) VALUES (%s, %s)"
    owner.execute(insert, ("c1", "12.30"))
    for _ in range(2):  # said again, it changes nothing
        done = stack.command("register", *CAPTURE)
        assert done.returncode == 0, done.stderr
        assert TOPIC in done.stdout

    async with reading(kafka, TOPIC) as topic:
        assert operations(await topic.take(1)) == [("r", (1, "12.30"))]
        owner.execute(insert, ("c1", "99.99"))
        owner.execute("UPDATE transactions SET amount = 5 WHERE tx_id = 2")
        owner.execute("DELETE FROM transactions WHERE tx_id = 2")
        records = await topic.take(4)
        changes = [("c", (2, "99.99")), ("u", (2, "5.00")), ("d", (2, "5.00")), ("tombstone", "c1")]
        assert operations(records) == changes
        assert {record.key for record in records} == {b'{"card_id":"c1"}'}
        assert told(records[1])["before"]["amount"] == "99.99"  # type: ignore[index]
        owner.execute("TRUNCATE transactions")
        assert operations(await topic.take(1)) == [("t", (None, None))]

        code, (said,) = stack.status()
        assert (code, said["state"], said["tasks"], said["wrong"]) == (0, "RUNNING", ["RUNNING"], [])
        assert said["slot"]["active"]
        assert said["topics"] == [TOPIC]

        # Killed with an open transaction or none: what is written meanwhile comes, and nothing comes twice.
        stack.connect.kill()
        owner.execute(
            "INSERT INTO transactions (card_id, amount) SELECT 'c' || i % 5, i FROM generate_series(1, 500) i"
        )
        stack.connect.start()
        ids = [told(record)["after"]["tx_id"] for record in await topic.take(500)]  # type: ignore[index]
        assert sorted(ids) == list(range(3, 503))
        assert not await topic.rest()

    check_no_secret(stack)
    await check_no_secret_in_topics(stack, kafka)
    assert stack.command("remove").returncode == 0
    left = "SELECT slot_name::text FROM pg_replication_slots UNION SELECT pubname::text FROM pg_publication"
    assert owner.execute(left).fetchall() == []
    assert list(stack.connect.secrets.iterdir()) == []
    assert stack.status() == (0, [])


def check_no_secret(stack: Stack) -> None:
    """What the reader logs in with is in a file that nobody else reads, and nowhere else."""
    password = stack.postgres.password_of(shop.READER)
    (file,) = stack.connect.secrets.iterdir()
    assert (file.read_text(), file.stat().st_mode & 0o777) == (password, 0o600)
    for path in ("/connectors?expand=info&expand=status", "/connectors/clickwarden/config"):
        with urllib.request.urlopen(f"{stack.connect.url}{path}") as answer:
            said = answer.read().decode()
        assert "${directory:" in said
        assert password not in said
    logged = [
        *stack.connect.data.glob("*.log"),
        stack.connect.data / "connect.properties",
        stack.postgres.log,
    ]
    assert [path for path in logged if password in path.read_text()] == []


async def check_no_secret_in_topics(stack: Stack, kafka: str) -> None:
    """In those that Connect keeps its settings in, and how far it has read."""
    for name in ("configs", "offsets", "status"):
        async with reading(kafka, f"captured-{name}") as topic:
            first = await topic.take(1)
            records = [*first, *await topic.rest()]
            password = stack.postgres.password_of(shop.READER).encode()
            assert [record for record in records if password in (record.value or b"")] == []


async def test_a_lost_slot_and_a_foreign_table_are_said(stack: Stack, owner: psycopg.Connection) -> None:
    """Connect says RUNNING for a while, or for ever."""
    assert stack.command("register", *CAPTURE, "--name", "lost", "--prefix", "lost").returncode == 0
    owner.execute("CREATE TABLE further (id bigint)")
    owner.execute("ALTER TABLE further REPLICA IDENTITY FULL")
    for options, cure in (
        (["public.further", "--name", "lost", "--prefix", "lost"], "another --name and --prefix"),
        (["public.further", "--prefix", "lost"], "--prefix lost is that of the connector lost"),
    ):
        refused = stack.command("register", *options)
        assert (refused.returncode, cure in refused.stderr) == (1, True)
    async with connected(stack.postgres.url(shop.READER, shop.DATABASE)) as reader:
        await captured.drop_slot(reader, "lost")
    code, (said,) = stack.status()
    assert code == 1
    assert any("no slot" in fault for fault in said["wrong"])
    assert stack.command("remove", "--name", "lost").returncode == 0
    refused = stack.command("remove", "--name", "lost")
    assert (refused.returncode, "Connect has no connector lost" in refused.stderr) == (1, True)


async def test_a_topic_is_held_against_its_table(
    stack: Stack, kafka: str, owner: psycopg.Connection, site: Callable[..., Site]
) -> None:
    """While somebody writes; and what is left out of a copy of the topic, or told again, is seen."""
    owner.execute("TRUNCATE transactions")
    fill = "INSERT INTO transactions (card_id, amount) SELECT 'c' || i % 5, i FROM generate_series(1, 100) i"
    owner.execute(fill)
    assert stack.command("register", *CAPTURE, "--prefix", "held").returncode == 0
    owner.execute(fill)
    (first,) = owner.execute("SELECT min(tx_id) FROM transactions").fetchone() or (0,)
    owner.execute("UPDATE transactions SET amount = 5 WHERE tx_id = %s", [first])
    owner.execute("UPDATE transactions SET card_id = 'moved' WHERE tx_id <= %s", [first + 10])
    owner.execute("UPDATE transactions SET tx_id = -1 WHERE tx_id = %s", [first + 20])
    owner.execute("DELETE FROM transactions WHERE tx_id BETWEEN %s AND %s", [first + 50, first + 59])
    with psycopg.connect(stack.postgres.url(shop.OWNER, shop.DATABASE)) as open_one:
        open_one.execute(fill)  # which is not over yet
        code, said = await asyncio.to_thread(stack.verify, "--topic", "held.public.transactions")
    assert code == 0, said
    assert (said["ok"], said["missing"], said["extra"], said["twice"]) == (True, 0, 0, 0)
    assert (said["rows"], said["told"]) == (190, 190)
    assert said["records"]["snapshot"] == 100
    async with reading(kafka, "held.public.transactions") as topic:
        records = await topic.take(3 * 100 + 1 + 3 * 11 + 1 + 20)
    changes = {}
    for record in records:
        if change := told(record):
            row = change["after"] or change["before"]
            changes[change["op"], row["tx_id"] - first] = record
    here = site(partitions=1)
    for left_out, again, fault in (
        (changes["r", 30], None, "missing"),
        (changes["r", 55], None, "unborn"),
        (changes["d", 55], None, "extra"),
        (None, changes["c", 130], "twice"),
        (None, changes["r", 30], ""),
    ):
        copy = f"{here.settings.app_id}-copy-{fault}"
        here.admin.create_topics([NewTopic(copy, 1, 1)])[copy].result()
        kept = [record for record in records if record is not left_out] + ([again] if again else [])
        await asyncio.to_thread(here.send, *(record.value for record in kept), topic=copy)
        code, said = await asyncio.to_thread(stack.verify, "--topic", copy)
        assert (code, said["ok"]) == (int(bool(fault)), not fault), said
        assert {name: len(rows) for name, rows in said["examples"].items()} == ({fault: 1} if fault else {})
    async with connected(stack.postgres.url(shop.READER, shop.DATABASE)) as asking:
        await captured.drop_slot(asking, "clickwarden")
    code, said = await asyncio.to_thread(stack.verify, "--topic", "held.public.transactions")
    assert (code, said["missing"], "there is no slot" in said["slot"]) == (3, 0, True)
    assert stack.command("remove").returncode == 0
    owner.execute("TRUNCATE transactions")
    code, said = await asyncio.to_thread(stack.verify, "--topic", "nowhere")
    assert (code, said) == (2, {})


def test_a_fraud_in_a_table_is_found_once_and_history_wakes_nobody(
    stack: Stack, owner: psycopg.Connection, site: Callable[..., Site], tmp_path: Path
) -> None:
    """Inserts are scored; what was there before, is corrected, deleted, moved or cannot be, is not."""
    made = site(pipelines=str(tmp_path / "payments"), partitions=2)
    define(tmp_path / "payments", "shop.public.payments")
    file = tmp_path / "payments" / "pipeline.toml"
    file.write_text(file.read_text().replace("version = 1", 'version = 1\nformat = "debezium"'))
    pipeline = Pipeline.load(file.parent)
    train(pipeline)
    owner.execute("CREATE TABLE payments (id text, card text, at float8, amount numeric, shop text)")
    owner.execute("ALTER TABLE payments REPLICA IDENTITY FULL")
    insert(owner, payments(600, seed=1))
    registered = stack.command(
        *("register", "public.payments", "--key", "card", "--name", "payments", "--prefix", "shop"),
        CLICKWARDEN_PARTITIONS="2",
    )
    assert registered.returncode == 0, registered.stderr
    worker = made.start()
    news = payments(1500, seed=2, begin=BEGIN + 600)
    insert(owner, news)
    owner.execute("UPDATE payments SET amount = 1000000 WHERE id LIKE '%-1_'")
    owner.execute("UPDATE payments SET card = 'card-moved' WHERE id LIKE '%-2_'")
    owner.execute("DELETE FROM payments WHERE id LIKE '%-3_'")
    owner.execute("TRUNCATE payments")
    odd = "INSERT INTO payments VALUES ('odd', 'card-1', %s, %s, 's')"
    owner.execute(odd, [BEGIN + 2100, "NaN"])
    owner.execute(odd, ["Infinity", 1])
    made.until(lambda: len(unscored(made)) >= 2 and not made.behind(pipeline.topic), worker)
    done = made.run("verify", str(file.parent), "--json")
    found = json.loads(done.stdout)
    assert (found["missing"], found["invented"], found["conflicting"]) == (0, 0, 0), found["examples"]
    assert found["expected"] == found["reported"] > 5
    readable = [value for value in news if value != b"{"]
    assert sum(found["fates"].values()) == len(readable) + 2
    assert (found["fates"]["unreadable"], found["fates"]["timeless"]) == (1, 1)
    told = {anomaly["scored"]["record_id"] for anomaly in made.anomalies() if anomaly["scored"]}
    assert told <= {json.loads(value)["id"] for value in readable}
    assert stack.command("remove", "--name", "payments").returncode == 0


def insert(owner: psycopg.Connection, values: list[bytes]) -> None:
    """Payments, those that are some, as one commit."""
    rows = [json.loads(value) for value in values if value != b"{"]
    with owner.cursor().copy("COPY payments FROM STDIN") as copy:
        for row in rows:
            copy.write_row([row.get(name) for name in ("id", "card", "at", "amount", "shop")])


def unscored(made: Site) -> list[bytes]:
    """The odd rows among those that could not be scored."""
    return [value for record in made.rejected() if (value := record.value or b"") and b'"odd"' in value]


def test_the_command_ends_in_order_and_leaves_no_java(kafka: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [*FAUST, "connect", "--port", "0", "--data", str(tmp_path)],
        env=os.environ | {"CLICKWARDEN_BROKER": f"kafka://{kafka}", "CLICKWARDEN_APP_ID": "ended"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        said = next(line for line in process.stdout if "is ready at http://127.0.0.1:" in line)
        (java,) = [child for child in psutil.Process(process.pid).children() if child.name() == "java"]
        listening = {
            connection.laddr.ip for connection in java.net_connections("tcp") if not connection.raddr
        }
        assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
        with urllib.request.urlopen(f"{said.split()[-1]}/connectors") as answer:
            assert answer.read() == b"[]"
        os.killpg(process.pid, signal.SIGINT)
        assert "Stopping Kafka Connect" in process.communicate(timeout=30)[0]
        assert process.returncode == 0
        assert not psutil.wait_procs([java], timeout=30)[1]


@pytest.mark.parametrize(
    ("setting", "value", "cure"),
    [
        ("CLICKWARDEN_SECURITY_PROTOCOL", "SSL", "docs/capture.md"),
        ("CLICKWARDEN_BROKER", "kafka://127.0.0.1:1", "faust -A app broker"),
    ],
)
def test_what_it_cannot_be_started_with(tmp_path: Path, setting: str, value: str, cure: str) -> None:
    done = subprocess.run(
        [*FAUST, "connect", "--data", str(tmp_path)],
        env=os.environ | {setting: value},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert setting in done.stderr
    assert cure in done.stderr
