"""The suite's test of itself: the oracle sees red where the protocol is broken, and only there."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clickwarden.detection.clock import RECENT
from clickwarden.sandbox.broker import Broker
from tests.chaos import leaders, sabotage
from tests.chaos.cluster import FENCED, SESSION_SECONDS
from tests.chaos.network import Network
from tests.chaos.proxy import CUT
from tests.site import Site, Worker, click, clicks, window_before

NEVER = 600.0
AT_ONCE = 1.0
T = window_before(time.time())

ATTACK = [value for number in range(10) for value in clicks(f"bot-{number}", 60, T, T + 50)]
CLOSING = clicks("ann", RECENT, T + 65, T + 66)
#: Near the window's end, so that wall clock has not far to go.
LAST = click("ann", T + 59)
MORE = [value for number in range(10) for value in clicks(f"bot-{number}", 30, T + 50, T + 59)]


@pytest.fixture
def topic(kafka: str, tmp_path: Path) -> Iterator[Site]:
    site = Site(kafka, tmp_path)
    yield site
    site.close()


def _break(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str) -> None:
    for variable, value in sabotage.hook(folder, name).items():
        monkeypatch.setenv(variable, value)


def test_a_snapshot_that_goes_out_before_its_anomalies(
    topic: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        _break(broken, tmp_path, "snapshot_before_anomalies")
        worker = topic.start(checkpoint_interval=3)
        topic.send(*ATTACK, *CLOSING)
        code, _ = worker.failed()
    assert code < 0
    topic.await_counted(topic.start())
    verdict = topic.verdict()
    assert verdict.missing == 10
    assert not verdict.ok


def test_a_worker_that_reads_on_from_what_was_committed(
    topic: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        _break(broken, tmp_path, "seek_to_committed_offset")
        worker = topic.start(checkpoint_interval=NEVER)
        topic.send(*ATTACK[:300])
        topic.await_counted(worker)
        worker.kill()
        worker = topic.start()
        topic.send(*ATTACK[300:], *CLOSING)
        topic.await_counted(worker)
    verdict = topic.verdict()
    assert verdict.missing
    assert not verdict.ok


@pytest.mark.parametrize("interval", [3.0, NEVER])
def test_it_sees_nothing_where_the_protocol_is_kept(topic: Site, interval: float) -> None:
    worker = topic.start(checkpoint_interval=interval)
    topic.send(*ATTACK[:300])
    topic.until(lambda: sum(each["accepted"] for each in worker.partitions().values()) == 300, worker)
    worker.kill()
    worker = topic.start()
    topic.send(*ATTACK[300:], *CLOSING)
    topic.await_counted(worker)
    verdict = topic.verdict()
    assert verdict.expected == 10
    assert verdict.ok


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Kafka of three nodes, with proxies before them for a worker one."""
    with Broker(tmp_path_factory.mktemp("broker"), port=0, nodes=3, proxied=["one"]) as broker:
        yield broker


@pytest.fixture
def network(nodes: Broker) -> Iterator[Network]:
    with closing(Network(nodes)) as network:
        yield network


@pytest.fixture
def cluster(nodes: Broker, network: Network, tmp_path: Path) -> Iterator[Site]:
    with closing(Site(nodes.bootstrap, tmp_path, replication=3, session_timeout=SESSION_SECONDS)) as site:
        yield site


def _cut_off_beside_a_successor(site: Site, nodes: Broker, network: Network) -> Worker:
    """A worker that counted clicks of a window and was cut off from the coordinator. Its successor closed
    the window by wall clock, and then came further clicks of it.
    """
    zombie = site.start("one", broker=f"kafka://{network.bootstrap('one')}", idle_timeout=NEVER)
    site.send(*ATTACK, LAST)
    site.await_counted(zombie)
    coordinator = leaders.coordinator(site)
    leaders.lead_nothing(site, coordinator, nodes.nodes)
    with network.disturbed("one", [coordinator], CUT):
        successor = site.start("two", idle_timeout=AT_ONCE)
        site.until(lambda: len(site.anomalies("closed")) == 10, successor)
        site.send(*MORE, *CLOSING)
        site.await_counted(successor)
        site.until(lambda: not zombie.alive or _closed_by(site, "one"), successor)
    return zombie


def _closed_by(site: Site, worker: str) -> bool:
    return any(anomaly["worker"] == worker for anomaly in site.anomalies("closed"))


@pytest.mark.alone
def test_a_zombie_without_a_fence(
    cluster: Site, nodes: Broker, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _break(monkeypatch, tmp_path, "unfenced")
    zombie = _cut_off_beside_a_successor(cluster, nodes, network)
    assert zombie.alive
    assert cluster.verdict().conflicting == 10


@pytest.mark.alone
def test_it_sees_nothing_of_a_zombie_behind_its_fence(cluster: Site, nodes: Broker, network: Network) -> None:
    zombie = _cut_off_beside_a_successor(cluster, nodes, network)
    verdict = cluster.verdict()
    assert verdict.ok, verdict.examples
    assert verdict.late == len(MORE)
    assert zombie.wait() in FENCED
