"""The decoding process ends with the worker, and the worker with the decoding process."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.site import Site, Worker, click, clicks, window_before

T = window_before(time.time())


def decoding(worker: Worker) -> psutil.Process:
    (child,) = psutil.Process(worker.pid).children()
    return child


@pytest.fixture
def site(kafka: str, tmp_path: Path) -> Iterator[Site]:
    site = Site(kafka, tmp_path)
    yield site
    site.close()


@pytest.mark.alone
@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_whose_decoding_dies_or_freezes_ends_and_its_successor_counts_everything(
    site: Site, fault: signal.Signals
) -> None:
    worker = site.start(session_timeout=6)
    site.send(*clicks("bot", 30, T, T + 30))
    site.await_counted(worker)
    child = decoding(worker)
    child.suspend()
    site.send(*clicks("bot", 30, T + 30, T + 60))
    child.send_signal(fault)
    assert worker.wait() == 1
    child.wait(timeout=5)
    assert worker.log.splitlines()[-1].startswith("clickwarden: the decoding process ")
    assert "Traceback" not in worker.log
    worker = site.start()
    site.send(click("ann", T + 65))
    site.await_counted(worker)
    verdict = site.verdict()
    assert (verdict.ok, verdict.accounted, verdict.reported) == (True, True, 1), verdict.examples


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_decoding_process_is_left_behind(site: Site, end: signal.Signals) -> None:
    worker = site.start()
    child = decoding(worker)
    worker.send_signal(end)
    worker.wait()
    child.wait(timeout=5)
    assert not child.is_running()


def test_signals_for_the_worker_do_not_end_its_decoding_before_it(site: Site) -> None:
    worker = site.start()
    child = decoding(worker)
    site.send(click("ann", T))
    site.await_counted(worker)  # so that it is past its own start
    for number in (signal.SIGINT, signal.SIGTERM):
        child.send_signal(number)
    site.send(*clicks("bot", 60, T, T + 60), click("ann", T + 65))
    site.await_counted(worker)
    assert child.is_running()
    assert site.verdict().ok
