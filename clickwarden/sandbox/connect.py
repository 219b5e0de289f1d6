"""Kafka Connect with Debezium's connector for PostgreSQL, in one process on this machine.

Distributed mode with one worker: standalone mode has no exactly once, and forgets connectors. The plug-in is
Debezium's own archive: what its POM names holds Kafka's client once more, which must not lie there.
"""

import hashlib
import shutil
import signal
import subprocess
import tarfile
import time
import urllib.request
from functools import cache
from pathlib import Path
from typing import NoReturn, Self

from clickwarden.errors import BrokerError
from clickwarden.sandbox import broker, maven
from clickwarden.sandbox.ports import HOST, free_ports, is_free
from clickwarden.sandbox.watchdog import Watchdog

NAME = f"Kafka Connect {broker.VERSION}"
#: Without a log4j of its own Connect logs nothing; the "!" is explained beside the broker's.
COORDINATES = (
    f"org.apache.kafka:connect-runtime:{broker.VERSION}+org.apache.logging.log4j:log4j-slf4j-impl:2.25.4!"
)
#: Built against Kafka 4.3.1. The archive of another version may hold jars that must not be there: look first.
DEBEZIUM = "3.7.0.Final"
PLUGIN = "debezium-connector-postgres"
PLUGIN_SHA256 = "660673cbabd2f269da21409208ebd0f0d9977bd92e824fc9daa272f240e88e51"

PORT = 8083
#: After a crash it first waits until Kafka has given up the transaction that was open (10 s, as we set it).
START_SECONDS = 150.0
#: It takes 2 s, and has no end while Kafka is away.
STOP_SECONDS = 10.0
LOG_TAIL = 15

#: With the slower compiler alone it is ready in 1.8 s and not 3.1, and takes 371 MB at most and not 443, for
#: a third of the rate.
JAVA = ("-Xmx256m", "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")


class Connect:
    """A worker of Kafka Connect, alone in its group, whose log is in ``data``; what it knows is in Kafka.

    Its REST has no password: it listens on this machine alone. ``port=0`` picks one that is free. Passwords
    of databases are files in :attr:`secrets`, which connectors name as ``${directory:FOLDER:FILE}``: neither
    REST nor a topic tells them.

    As a context manager it is started on entry and stopped on exit. No Java process outlives ours, not even
    when that is killed.

    Args:
        data: folder of its properties, its log and the secrets.
        bootstrap: Kafka's servers, without TLS and SASL.
        group: its name in Kafka, and how the names of its topics begin.
        replication: copies that Kafka keeps of these.
    """

    def __init__(
        self, data: Path, bootstrap: str, *, group: str, replication: int = 1, port: int = PORT
    ) -> None:
        self.data = data.absolute()
        self.bootstrap = bootstrap
        self.group = group
        self.replication = replication
        self.port = port or free_ports(1)
        self.log = self.data / "connect.log"
        self.secrets = self.data / "secrets"
        self._running: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop it."""
        self.stop()

    @property
    def url(self) -> str:
        """Where its REST answers."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it knows its connectors.

        Raises:
            BrokerError: Connect or Debezium cannot be fetched, the port is taken, or it does not start: Kafka
                may be away. It is not running then.
        """
        try:
            if not is_free(self.port):
                raise BrokerError(
                    f"port {self.port} on {HOST} is taken; stop what listens there, or choose a free one "
                    "with --port"
                )
            self.secrets.mkdir(parents=True, exist_ok=True)
            self.secrets.chmod(0o700)
            plugins = plugin(self.data / "plugins")
            (self.data / "connect.properties").write_text(self._properties(plugins))
            self._launch()
            self._await_started()
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise BrokerError(f"{self.data}: {error}; choose another folder with --data") from error
            raise

    def stop(self) -> None:
        """Shut it down, in order while Kafka is there: so before Kafka."""
        if self._running is not None:
            self._running.terminate()
            try:
                self._running.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._running.kill()
        self._bury()

    def kill(self) -> None:
        """SIGKILL it: a crash, on purpose."""
        if self._running is not None:
            self._running.kill()
        self._bury()

    def wait(self) -> NoReturn:
        """Watch over it for ever.

        Raises:
            BrokerError: it died by itself.
        """
        while True:
            self.check_alive()
            time.sleep(0.5)

    def check_alive(self) -> None:
        """Raise BrokerError, with the end of its log, if it has died by itself."""
        if self._running is not None and self._running.poll() is not None:
            raise BrokerError(f"Kafka Connect died (exit code {self._running.returncode}); {self._tail()}")

    def _properties(self, plugins: Path) -> str:
        converter = "org.apache.kafka.connect.json.JsonConverter"
        properties = {
            "bootstrap.servers": self.bootstrap,
            "listeners": self.url,
            "plugin.path": plugins,
            # Plug-ins say what they are; by default all jars are searched for them, for 3 s and 300 MB.
            "plugin.discovery": "service_load",
            "key.converter": converter,
            "value.converter": converter,
            # Else each record holds its schema, which is longer than the row.
            "key.converter.schemas.enable": "false",
            "value.converter.schemas.enable": "false",
            # Else NULL in a column that has a default is told as that default.
            "key.converter.replace.null.with.default": "false",
            "value.converter.replace.null.with.default": "false",
            "group.id": self.group,
            "config.storage.topic": f"{self.group}-configs",
            "offset.storage.topic": f"{self.group}-offsets",
            "status.storage.topic": f"{self.group}-status",
            "config.storage.replication.factor": self.replication,
            "offset.storage.replication.factor": self.replication,
            "status.storage.replication.factor": self.replication,
            "offset.storage.partitions": 1,  # Kafka's 25 and 5 are for a company's cluster
            "status.storage.partitions": 1,
            "exactly.once.source.support": "enabled",
            # How long the place of a worker that was killed is kept, and that of one that went.
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 1500,
            "scheduled.rebalance.max.delay.ms": 0,
            "config.providers": "directory",
            "config.providers.directory.class": (
                "org.apache.kafka.common.config.provider.DirectoryConfigProvider"
            ),
            # Of no other folder: who reaches REST must not read this machine's files.
            "config.providers.directory.param.allowed.paths": self.secrets,
        }
        return "".join(f"{name}={value}\n" for name, value in properties.items())

    def _launch(self) -> None:
        self._watchdog = Watchdog(signal.SIGTERM, STOP_SECONDS)
        main = "org.apache.kafka.connect.cli.ConnectDistributed"
        with self.log.open("wb") as log:
            self._running = subprocess.Popen(
                [*maven.java(NAME, jars()), *JAVA, "-Dlog4j2.level=INFO", main, "connect.properties"],
                cwd=self.data,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=self._watchdog.group,
            )

    def _await_started(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._is_healthy():
            if self._running is None:
                raise BrokerError("Kafka Connect was stopped while it started")
            self.check_alive()
            if time.monotonic() > deadline:
                raise BrokerError(f"Kafka Connect is not ready after {START_SECONDS:.0f} s; {self._tail()}")
            time.sleep(0.1)

    def _is_healthy(self) -> bool:
        # Not /connectors, which answers before the worker knows its connectors.
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5):
                return True
        except OSError:
            return False

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        said = [line for line in lines if not line.startswith("\t")]  # no stack frames
        return "\n  ".join([f"{self.log} ends:", *said[-LOG_TAIL:]])

    def _bury(self) -> None:
        if self._running is not None:
            self._running.wait()
            self._running = None
        if self._watchdog is not None:
            self._watchdog.dismiss()
            self._watchdog = None


@cache
def jars() -> list[Path]:
    """Connect's jars, fetched where they are missing.

    Raises:
        BrokerError: jgo is not installed, or a jar cannot be fetched.
    """
    return maven.fetched(NAME, COORDINATES)


def plugin(folder: Path) -> Path:
    """The folder with Debezium's plug-in, which is fetched and unpacked there where it is missing.

    Raises:
        BrokerError: jgo is not installed, or the plug-in cannot be fetched, or is another than it should be.
    """
    there = folder / f"{PLUGIN}-{DEBEZIUM}"
    if there.exists():
        return folder
    what = f"Debezium {DEBEZIUM}"
    archive = maven.artifact(what, "io.debezium", PLUGIN, DEBEZIUM, "plugin", "tar.gz")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != PLUGIN_SHA256:
        archive.unlink()
        raise BrokerError(f"{archive} was another file than {what} is, and is removed; try again")
    part = there.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    with tarfile.open(archive) as packed:
        if hasattr(tarfile, "data_filter"):
            packed.extractall(part, filter="data")
        else:  # Python before 3.11.4, as Debian 12 has it; what is in the archive is known by its hash
            packed.extractall(part)
    part.rename(there)  # all of it or nothing
    return folder
