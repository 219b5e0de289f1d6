"""What cannot be captured from PostgreSQL is refused, with the statement that mends it."""

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from clickwarden.errors import DatabaseError
from clickwarden.sandbox import shop
from clickwarden.sandbox.postgres import SUPERUSER, Postgres
from clickwarden.sources import captured
from clickwarden.sources.captured import Slot, connected
from clickwarden.sources.connectors import State

TABLE = "public.transactions"

STATEMENTS = """
CREATE TABLE public.bare (id bigint PRIMARY KEY);
ALTER TABLE public.bare OWNER TO shop;
CREATE TABLE public.whole (id bigint) PARTITION BY RANGE (id);
CREATE TABLE public.foreign_ (id bigint);
ALTER TABLE public.foreign_ REPLICA IDENTITY FULL;
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with Postgres(tmp_path_factory.mktemp("postgres"), port=0) as server:
        asyncio.run(shop.open_at(server))
        with psycopg.connect(server.url(SUPERUSER, shop.DATABASE), autocommit=True) as admin:
            admin.execute(STATEMENTS)
        yield server


@pytest.mark.parametrize(
    ("table", "key", "role", "cure"),
    [
        ("public.nothing", "", shop.READER, "no table public.nothing; write SCHEMA.TABLE"),
        (TABLE, "card", shop.READER, "no column card; its columns are tx_id, card_id,"),
        ("public.bare", "", shop.READER, "ALTER TABLE public.bare REPLICA IDENTITY FULL"),
        ("public.whole", "", shop.READER, "public.whole is no ordinary table"),
        (TABLE, "", shop.OWNER, "ALTER ROLE shop LOGIN REPLICATION PASSWORD"),
        (TABLE, "", "nobody", "CREATE ROLE nobody LOGIN REPLICATION PASSWORD"),
        ("public.foreign_", "", shop.READER, 'GRANT SELECT ON "public"."foreign_" TO "debezium"'),
    ],
)
async def test_what_cannot_be_captured(server: Postgres, table: str, key: str, role: str, cure: str) -> None:
    keys = {table: [key]} if key else {}
    async with connected(server.url(shop.OWNER, shop.DATABASE)) as owner:
        refused = ""
        try:
            await captured.check(owner, [table], keys, "refused")
            await captured.publish(owner, [table], role, "refused")
        except DatabaseError as error:
            refused = str(error)
    assert cure in refused


async def test_a_server_that_tells_no_changes(server: Postgres) -> None:
    """What counts of it are its settings: they are told to it anew, and no other is started for that."""
    async with connected(server.url(SUPERUSER, shop.DATABASE)) as admin:
        for number in range(10):
            await admin.execute("SELECT pg_create_physical_replication_slot(%s)", [f"taken_{number}"])
        with pytest.raises(DatabaseError, match=r"all 10 slots .*pg_drop_replication_slot.*max_replication"):
            await captured.check(admin, [TABLE], {}, "wanted")
        await captured.check(admin, [TABLE], {}, "taken_3")
        for number in range(10):
            await captured.drop_slot(admin, f"taken_{number}")


async def test_a_publication_is_of_the_tables_and_no_others(server: Postgres) -> None:
    async with connected(server.url(shop.OWNER, shop.DATABASE)) as owner:
        await owner.execute("CREATE SCHEMA other CREATE TABLE further (id bigint)")
        for tables in ([TABLE], [TABLE, "other.further"], [TABLE, "other.further"], ["other.further"]):
            await captured.publish(owner, tables, shop.READER, "made")
            found = await owner.execute(
                "SELECT schemaname || '.' || tablename FROM pg_publication_tables WHERE pubname = 'made'"
            )
            assert {table for (table,) in await found.fetchall()} == set(tables)
        async with connected(server.url(shop.READER, shop.DATABASE)) as reader:
            await reader.execute("SELECT FROM other.further")
        for _ in range(2):
            await captured.unpublish(owner, "made")


async def test_a_slot_says_how_far_it_has_read(server: Postgres) -> None:
    async with (
        connected(server.url(shop.READER, shop.DATABASE)) as reader,
        connected(server.url(shop.OWNER, shop.DATABASE)) as owner,
    ):
        assert await captured.slot_of(reader, "asked") is None
        await reader.execute("SELECT pg_create_logical_replication_slot('asked', 'pgoutput')")
        before = await captured.slot_of(reader, "asked")
        await owner.execute(
            "INSERT INTO transactions (card_id, amount) SELECT 'c', i FROM generate_series(1, 10000) i"
        )
        behind = await captured.slot_of(reader, "asked")
        assert before is not None
        assert before.behind is not None
        assert behind is not None
        assert behind.behind is not None
        assert (behind.active, behind.status) == (False, "reserved")
        assert behind.behind - before.behind > 10_000 * 50
        assert (behind.kept or 0) >= behind.behind
        for _ in range(2):
            await captured.drop_slot(reader, "asked")
        assert await captured.slot_of(reader, "asked") is None


async def test_no_answer_names_the_cure_and_no_password() -> None:
    with pytest.raises(DatabaseError, match=r"'faust -A app postgres'.*--database.*PGPASSFILE") as refused:
        async with connected("postgresql://shop:hidden@127.0.0.1:1/shop?application_name=x"):
            pass
    assert "hidden" not in str(refused.value)


READ = Slot(active=True, status="reserved", behind=0, kept=0)
LOST = READ._replace(active=False, status="lost")
RUNS = State("RUNNING", ("RUNNING",), "")


@pytest.mark.parametrize(
    ("state", "slot", "silence", "said"),
    [
        (RUNS, READ, 0, []),
        (None, READ, 0, []),
        (State("RUNNING", ("FAILED",), "too large"), READ, 0, ["too large"]),
        (State("RUNNING", ("FAILED",), "too large"), READ, 12, ["too large"]),
        (State("RUNNING", (), ""), READ, 0, ["its tasks none"]),
        (RUNS, None, 0, ["no slot"]),
        (RUNS, LOST, 12, ["is lost"]),
        (RUNS, READ._replace(active=False), 12, ["nobody reads"]),
        (RUNS, READ._replace(active=False, snapshot=True), 12, []),
        (RUNS, READ, 12, ["no heartbeat for 12 s"]),
        (State("FAILED", (), "no host"), None, 0, ["no host", "no slot"]),
    ],
)
def test_running_is_not_enough(
    state: State | None, slot: Slot | None, silence: float, said: list[str]
) -> None:
    found = captured.faults("shop", state, slot, silence)
    assert [part in fault.text for part, fault in zip(said, found, strict=True)] == [True] * len(said)
    assert all(fault.blinds and fault.cure and "shop" in fault.summary for fault in found)
