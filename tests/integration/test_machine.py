"""What the machine underneath does to a worker: a full disk, a wrong clock, rules of its own."""

import resource
import time
from collections.abc import Callable

import psutil
import pytest

from clickwarden.times import epoch
from tests.site import RULES, Site, click, clicks, window_before

T = window_before(time.time())
LIMIT = 1 << 20

Sites = Callable[..., Site]

#: Runs first in a worker, and has its clock wrong by so many seconds.
CLOCK = """
import time
from functools import partial

right = time.time
time.time = lambda: right() + {ahead}
"""


def test_a_full_disk_ends_the_worker_in_a_sentence_and_loses_nothing(site: Sites) -> None:
    here = site(partitions=2)
    worker = here.start(checkpoint_interval=0.1)
    here.send(*clicks("eve", 30, T, T + 30))
    here.await_counted(worker)
    # As if no file could grow beyond it.
    psutil.Process(worker.pid).rlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
    minute = 0
    while worker.alive:
        minute += 1
        moment = T + 60 * minute
        users = (click(f"user-{minute}-{number}", moment + number / 400) for number in range(20_000))
        here.send(*clicks("eve", 60, moment, moment + 50), *users)
    code, said = worker.failed()
    assert code == 1
    last = said.splitlines()[-1]
    assert f"CLICKWARDEN_DATA_DIR={worker.settings.data_dir}: there is no room on the disk" in last
    assert "Traceback" not in said
    assert "damaged" not in said

    worker = here.start()
    here.send(click("ann", T + 60 * minute + 65))
    here.await_counted(worker)
    verdict = here.verdict()
    assert verdict.ok, verdict.examples
    assert verdict.accounted
    assert verdict.reported == minute


def test_wrong_clocks_and_a_file_of_other_rules_are_said_and_what_is_live_is_called_so(
    site: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = site(partitions=2)
    strict = here.folder / "strict.toml"
    strict.write_text(RULES.replace("50", "40"))
    workers = {}
    for name, ahead, rules in (("slow", -7200, here.settings.rules), ("fast", 7200, strict)):
        folder = here.folder / f"clock-{name}"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(CLOCK.format(ahead=ahead))
        with monkeypatch.context() as changed:
            changed.setenv("PYTHONPATH", str(folder))
            workers[name] = here.launch(name, rules=rules)
    slow, fast = workers.values()
    here.until(
        lambda: slow.ready and fast.ready and len(slow.partitions()) == len(fast.partitions()) == 1,
        slow,
        fast,
    )
    assert "The worker's clock is 7,200 s behind Kafka's" in slow.log
    assert "The worker's clock is 7,200 s ahead of Kafka's" in fast.log

    now = time.time()
    for partition in range(2):
        here.send(*clicks(f"eve-{partition}", 60, now - 2, now), partition=partition)
    found = here.until(lambda: len(found := here.anomalies("ongoing")) == 2 and found, slow, fast)
    for anomaly in found:
        assert not anomaly["caught_up"]
        assert abs(epoch(anomaly["emitted_at"]) - now) < 60
    for worker in slow, fast:
        assert all(abs(status["delay"]) < 60 for status in worker.partitions().values())

    def said() -> list[str]:
        warnings: list[str] = slow.ask("/api/v1/now")[1]["health"]["warnings"]
        return warnings

    here.until(lambda: len(said()) == 2, slow, fast)
    first, second = said()
    assert first.startswith("The clock of worker fast is 7,200 s ahead of Kafka's")
    assert second.startswith("The clock of worker slow is 7,200 s behind Kafka's")
    assert "Traceback" not in slow.log + fast.log
    # Both go by the rules of the topic, which began with those of who was first.
    logs = {str(here.settings.rules): slow.log, str(strict): fast.log}
    (other,) = (file for file, log in logs.items() if f"{file} is not what is in force" in log)
    assert f"'faust -A app rules put {other}' puts the file into force" in logs[other]
