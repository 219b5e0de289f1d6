"""A worker's place in the group: it says nothing while that is uncertain, and ends when it is lost."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.membership import CUT_OFF, EXPELLED, UNCOORDINATED
from tests.site import Site, Worker, clicks, window_before

pytestmark = pytest.mark.alone

T = window_before(time.time())

Sites = Callable[..., Site]

#: While the file exists, nothing that is sent to the group's coordinator arrives.
CUT = """
from pathlib import Path
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaConnectionError

send = GroupCoordinator._send_req

async def cut(self, request):
    if Path({cut!r}).exists():
        self.coordinator_dead()
        raise KafkaConnectionError("cut off")
    return await send(self, request)

GroupCoordinator._send_req = cut
"""

#: What is asked of the group's coordinator, or about it, while the file exists is never answered.
HANGING = """
import asyncio
from pathlib import Path
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import HeartbeatRequest

send = AIOKafkaClient.send

async def hang(self, node, request, **more):
    if isinstance(request, FindCoordinatorRequest | HeartbeatRequest) and Path({hung!r}).exists():
        await asyncio.sleep(3600)
    return await send(self, node, request, **more)

AIOKafkaClient.send = hang
"""

BROKEN = """
from aiokafka.consumer.group_coordinator import GroupCoordinator

async def breaks(self, subscription):
    raise ValueError("nobody expects this")

GroupCoordinator._do_rejoin_group = breaks
"""


def sabotaged(site: Site, program: str, name: str, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """A worker that runs the program first; Python does so with a module of this name."""
    folder = site.folder / "sabotage"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(program)
    with monkeypatch.context() as changed:
        changed.setenv("PYTHONPATH", str(folder))
        return site.launch(name)


@pytest.mark.parametrize("heals", [False, True], ids=["for good", "for a while"])
def test_cut_off_from_the_coordinator_alone_it_says_nothing_and_ends(
    site: Sites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heals: bool
) -> None:
    topic = site(partitions=2, session_timeout=12, idle_timeout=1, lateness=0)
    cut = tmp_path / "cut"
    one, two = sabotaged(topic, CUT.format(cut=str(cut)), "one", monkeypatch), topic.start("two")
    topic.until(lambda: one.ready and two.ready and len(one.partitions()) == 1, one, two)
    (partition,) = one.partitions()

    cut.touch()
    topic.until(lambda: one.state == "away", one, two)
    assert "the coordinator of the group has not acknowledged" in one.ask("/ready")[1]["detail"]
    topic.send(*clicks("eve", 60, T + 57, T + 60), partition=partition)
    topic.until(lambda: one.partitions()[partition]["accepted"] == 60, one, two)
    topic.until(lambda: two.partitions().get(partition, {}).get("accepted") == 60, one, two)
    topic.until(lambda: two.partitions()[partition]["open_windows"] == 0, one, two)  # by wall clock
    if heals:
        cut.unlink()
    assert one.wait() == (EXPELLED if heals else CUT_OFF)
    assert "Traceback" not in one.log
    topic.await_counted(two)
    assert {each["worker"] for each in topic.anomalies()} == {"two"}
    assert [each["count"] for each in topic.anomalies("closed")] == [60]
    verdict = topic.verdict()
    assert verdict.ok, verdict.examples
    assert verdict.accounted


def test_a_request_that_is_never_answered_does_not_cost_it_its_place(
    site: Sites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = site(session_timeout=12)
    hung = tmp_path / "hung"
    worker = sabotaged(topic, HANGING.format(hung=str(hung)), "one", monkeypatch)
    topic.until(lambda: worker.ready, worker)
    hung.touch()
    topic.until(lambda: worker.state == "away", worker)
    hung.unlink()
    topic.until(lambda: worker.ready, worker, seconds=12)
    assert "Traceback" not in worker.log


def test_it_ends_when_coordination_fails(site: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    code, log = sabotaged(site(), BROKEN, "one", monkeypatch).failed()
    assert code == UNCOORDINATED
    last = log.splitlines()[-1]
    assert "can no longer take part in its consumer group (ValueError('nobody expects this'))" in last
