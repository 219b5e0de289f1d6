"""The cluster under fire: Kafka's nodes and the workers, by name."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM
from types import TracebackType
from typing import Any, Self

from app.membership import CUT_OFF, EXPELLED, UNCOORDINATED
from app.pulse import EXIT_CODE
from clickwarden.detection import rulesfile
from clickwarden.detection.allowlist import Allowance, Members
from clickwarden.detection.rules import Rule
from clickwarden.sandbox.broker import Broker
from tests.chaos.load import Load
from tests.chaos.network import Network
from tests.chaos.proxy import Condition
from tests.chaos.timeline import Chronicle
from tests.site import Site, Worker, put_rules

RULES = Path(__file__).parents[2] / "rules.toml"
NAMES = ("one", "two", "three")
PARTITIONS = 4
SESSION_SECONDS = 6.0
IDLE_SECONDS = 3.0
MIB = 1 << 20
#: Exit codes with which a worker ends by itself rather than speak where another may speak by now.
FENCED = frozenset({EXIT_CODE, CUT_OFF, UNCOORDINATED, EXPELLED})


class Broken(Exception):
    """A promise is broken: a worker hangs, or does not end as it must."""


class Cluster:
    """Brokers, and workers of which some are meant to run; ``given`` are settings of theirs.

    Attributes:
        meant: the workers that are meant to run, by name.
        kills: SIGKILLs of workers.
        deaths: of workers that nobody had told to die; they are started again.
        fenced: workers that ended by themselves, as they may when the network was disturbed in
            their life; they are started again.
        load: the clicks on their way; to be started when the workers are ready.
        peak: most memory that a worker was seen to use, bytes.
        rules: those that the workers began with.
    """

    def __init__(
        self,
        folder: Path,
        timeline: Chronicle,
        *,
        nodes: int,
        workers: int,
        rate: int,
        seed: int,
        rules: Path = RULES,
        **given: Any,
    ) -> None:
        self.timeline = timeline
        self.names = NAMES[:workers]
        self.broker = Broker(folder / "kafka", port=0, nodes=nodes, proxied=self.names)
        self.meant: dict[str, Worker] = {}
        self.rules = rulesfile.load(rules)
        self.kills = self.deaths = self.fenced = self.peak = 0
        self._disturbed: set[Worker] = set()
        self._folder = folder
        self._rate, self._seed = rate, seed
        self._written, self._given = rules.read_text(), given

    def __enter__(self) -> Self:
        self.broker.start()
        self._network = Network(self.broker)
        self.site = Site(
            self.broker.bootstrap,
            self._folder,
            rules=self._written,
            partitions=PARTITIONS,
            replication=len(self.broker.nodes),
            **{"session_timeout": SESSION_SECONDS, "idle_timeout": IDLE_SECONDS} | self._given,
        )
        settings = self.site.settings
        self.load = Load(
            settings.bootstrap,
            settings.clicks_topic,
            self.rules,
            rate=self._rate,
            lateness=settings.lateness,
            seed=self._seed,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.meant.values():
            worker.kill()
        self._network.close()
        self.broker.kill()

    # -- workers --------------------------------------------------------------------------------------

    @property
    def absent(self) -> list[str]:
        """Names of the workers that are not meant to run."""
        return [name for name in self.names if name not in self.meant]

    def data(self, name: str) -> Path:
        """The worker's data folder."""
        return self._folder / name / "data"

    def start(self, *names: str) -> None:
        """Start workers; they are not waited for."""
        for name in names:
            self.meant[name] = self.site.launch(name, broker=f"kafka://{self._network.bootstrap(name)}")

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.meant.pop(name).kill()
        self.kills += 1

    def stop(self, *names: str) -> float:
        """SIGTERM to all of them at once; seconds until the last has left."""
        self.tend()
        leaving = {name: self.meant.pop(name) for name in names}
        # One that has only just been started knows nothing of signals yet.
        expected = {name: (0,) if worker.ready else (0, -SIGTERM) for name, worker in leaving.items()}
        began = time.monotonic()
        for worker in leaving.values():
            worker.send_signal(SIGTERM)
        for name, worker in leaving.items():
            code = worker.wait()
            if code not in expected[name]:
                self._account(name, worker, code)
        return time.monotonic() - began

    def tend(self) -> None:
        """Start again who has died."""
        for name, worker in list(self.meant.items()):
            self.peak = max(self.peak, worker.memory)
            if not worker.alive:
                self._account(name, worker, worker.wait())
                self.start(name)

    def _account(self, name: str, worker: Worker, code: int) -> None:
        if self.may_end(worker) and code in FENCED:
            self.timeline.note(f"{name} ended by itself, exit code {code}")
            self.fenced += 1
        else:
            self.timeline.note(f"{name} died, exit code {code}")
            self.deaths += 1

    def may_end(self, worker: Worker) -> bool:
        """Whether a worker may end by itself, with a code of its own."""
        return worker in self._disturbed

    @contextmanager
    def disturbed(self, name: str, nodes: Collection[int], condition: Condition) -> Iterator[None]:
        """Disturb a worker's ways to these nodes; they are whole again on exit."""
        self._disturbed.add(self.meant[name])
        with self._network.disturbed(name, nodes, condition):
            yield

    def until(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Wait for a condition, and meanwhile :meth:`tend`.

        Raises:
            Broken: it does not come true in time.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise Broken(f"not within {seconds:.0f} s: {what}; behind by {self.site.behind()}")
            self.tend()
            time.sleep(0.1)

    def ready(self) -> bool:
        """Whether all workers meant to run count clicks."""
        return all(worker.ready for worker in self.meant.values())

    def closed(self) -> bool:
        """Whether all partitions are counted, and none has a window open but that of ten minutes."""
        if not self.ready():
            return False
        statuses = [each for worker in self.meant.values() for each in worker.partitions().values()]
        return len(statuses) == PARTITIONS and all(each["open_windows"] <= 1 for each in statuses)

    # -- rules ----------------------------------------------------------------------------------------

    def put_rules(
        self, rules: Sequence[Rule], disallow: Sequence[Members] = (), allow: Sequence[Allowance] = ()
    ) -> None:
        """Put rules into force in place of others, and change who is allowed, whoever runs."""
        asyncio.run(put_rules(self.site.settings, rules, disallow, allow))
