"""``faust -A app broker``: it serves, keeps its data, and leaves nothing running."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from clickwarden.errors import BrokerError
from clickwarden.sandbox.broker import Broker

GONE_SECONDS = 20


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


class Command:
    """The command as a terminal runs it, in a process group of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.bootstrap = next(line.split()[-1] for line in process.stdout if " is ready at " in line)
        self.java = [child for child in psutil.Process(process.pid).children() if child.name() == "java"]
        assert self.java

    def rest(self) -> str:
        """What it prints until it ends."""
        return self.process.communicate(timeout=GONE_SECONDS)[0]

    def left(self) -> list[psutil.Process]:
        """The Java processes that outlived it; ended here, so that a red test leaves none."""
        alive: list[psutil.Process] = psutil.wait_procs(self.java, timeout=GONE_SECONDS)[1]
        for process in alive:
            process.kill()
        return alive


@contextmanager
def _broker(data: Path) -> Iterator[Command]:
    with subprocess.Popen(
        [sys.executable, "-m", "faust", "-A", "app", "broker", "--port", "0", "--data", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Command(process)
        finally:
            process.kill()


async def _create(bootstrap: str, topic: str, **layout: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, **layout)])
    finally:
        await admin.close()


async def _send(bootstrap: str, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        await producer.send_and_wait(topic, value)


async def _read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        return [(await consumer.getone()).value for _ in range(count)]


async def test_a_record_outlives_a_restart(data: Path) -> None:
    with _broker(data) as command:
        await _create(command.bootstrap, "kept", num_partitions=1, replication_factor=1)
        await _send(command.bootstrap, "kept", b"click")
        command.process.terminate()
        assert "Stopping" in command.rest()
        assert command.process.returncode == 0
        assert not command.left()
    with _broker(data) as command:
        assert await _read(command.bootstrap, "kept", 1) == [b"click"]


def test_ctrl_c_in_a_terminal_shuts_kafka_down_in_order(data: Path) -> None:
    with _broker(data) as command:
        assert all(os.getpgid(java.pid) != command.process.pid for java in command.java)
        os.killpg(command.process.pid, signal.SIGINT)
        assert "Stopping" in command.rest()
        assert command.process.returncode == 0
        assert not command.left()
    assert (data / "node-1" / "data" / ".kafka_cleanshutdown").exists()


def test_a_folder_in_use_is_left_alone(data: Path) -> None:
    with _broker(data) as command:
        second = subprocess.run(command.process.args, capture_output=True, text=True)
        assert second.returncode == 1
        assert "in use by a running Kafka" in second.stderr
        assert command.process.poll() is None


def test_kafka_does_not_outlive_a_killed_command(data: Path) -> None:
    with _broker(data) as command:
        command.process.kill()
        assert not command.left()


def test_a_node_that_dies_ends_the_command(data: Path) -> None:
    with _broker(data) as command:
        command.java[0].kill()
        said = command.rest()
        assert "node 1 died" in said
        assert "server.log ends:" in said
        assert command.process.returncode == 1
        assert not command.left()


def test_a_node_that_cannot_start_shows_its_log(data: Path) -> None:
    quorum = data / "node-1" / "data" / "__cluster_metadata-0" / "quorum-state"
    quorum.parent.mkdir(parents=True, exist_ok=True)
    quorum.write_text("garbage")
    with pytest.raises(BrokerError, match=r"(?s)node 1 died.*server\.log ends:.*quorum-state"):
        Broker(data, port=0).start()


@pytest.mark.alone
async def test_three_nodes_lose_one_and_no_record(tmp_path: Path) -> None:
    with Broker(tmp_path, port=0, nodes=3) as broker:
        await _create(broker.bootstrap, "safe", num_partitions=3, replication_factor=3)
        await _send(broker.bootstrap, "safe", b"before")
        broker.kill(2)
        await _send(broker.bootstrap, "safe", b"meanwhile")
        broker.start(2)
        assert sorted(await _read(broker.bootstrap, "safe", 2)) == [b"before", b"meanwhile"]
