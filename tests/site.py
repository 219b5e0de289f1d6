"""A site to watch: fresh topics in a real Kafka, real workers on them, and the oracle."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar
from uuid import uuid4

import msgspec
import psutil
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)
from pydantic import SecretStr

from clickwarden.audit.adoptions import adoptions_told
from clickwarden.audit.allowed import Lists
from clickwarden.audit.excuses import excuses
from clickwarden.audit.oracle import Judgement, judge
from clickwarden.audit.recount import Recount
from clickwarden.detection import rulesfile
from clickwarden.detection.allowlist import Allowance, Members
from clickwarden.detection.rules import Rule
from clickwarden.kafka.reader import reader, to_end
from clickwarden.kafka.registry import Registry
from clickwarden.kafka.rulestopic import RulesTopic, change_of
from clickwarden.models.pipeline import Pipeline
from clickwarden.settings import PREFIX, Settings

RULES = """
[[rule]]
name = "bot"
window = 60
threshold = 50
"""

SECONDS = 60.0
START_SECONDS = 20.0
PRODUCER = {"enable.idempotence": True, "message.max.bytes": 4 << 20, "linger.ms": 1}

T = TypeVar("T")


class ReadRecord(NamedTuple):
    """A record of a topic, as the oracle reads it too."""

    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def about(self) -> dict[str, str]:
        """Its headers as text."""
        return {name: value.decode() for name, value in self.headers}


def click(user: str, time: float | str, event: str = "view", **more: Any) -> bytes:
    """A click's value, at ``time`` (epoch seconds)."""
    return json.dumps({"user_id": user, "event": event, "timestamp": time} | more).encode()


def clicks(user: str, count: int, start: float, end: float, event: str = "view") -> list[bytes]:
    """Clicks spread evenly over ``[start, end)``."""
    return [click(user, start + (end - start) * number / count, event) for number in range(count)]


def window_before(now: float, size: int = 60) -> int:
    """Start of a window long over at ``now``."""
    return int(now) // size * size - 60 * size


def minute_over() -> int:
    """Start of the newest minute that a click can close now, 70 s behind its start.

    That click has happened: to one from ahead the worker gives the time at which Kafka received it.
    """
    return (int(time.time()) - 10) // 60 * 60 - 60


def environment_of(settings: Settings) -> dict[str, str]:
    """The settings that were given, as a command takes them."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return {
        PREFIX + name.upper(): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in given.items()
    }


def inherited() -> dict[str, str]:
    """The environment without any setting."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def faust(*arguments: str, environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    """``faust -A app …``; what it says goes to ``folder / "log"``."""
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "faust", "-A", "app", *arguments],
            env=inherited() | environment | {"PYTHONUNBUFFERED": "1"},
            cwd=folder,  # where no .env is
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


class Worker:
    """One ``faust -A app worker``."""

    def __init__(self, settings: Settings, folder: Path, *options: str, checkout: Path | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.settings = settings
        self._log = folder / "log"
        given = environment_of(settings) | ({} if checkout is None else {"PYTHONPATH": str(checkout)})
        self._process = faust("worker", "-l", "info", *options, environment=given, folder=folder)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def memory(self) -> int:
        """Resident, bytes; 0 when it is dead."""
        try:
            resident: int = psutil.Process(self.pid).memory_info().rss
        except psutil.NoSuchProcess:
            return 0
        return resident

    @property
    def log(self) -> str:
        """What it and its predecessors of the same name said."""
        return self._log.read_text(errors="replace")

    def ask(self, path: str) -> tuple[int, Any]:
        """Status and content of an answer of its API."""
        with closing(HTTPConnection("127.0.0.1", self.settings.web_port, timeout=10)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def send(self, method: str, path: str, content: Any, **headers: str) -> tuple[int, Any]:
        """Status and content of its answer to a request with a body; bytes are sent as they are."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(HTTPConnection("127.0.0.1", self.settings.web_port, timeout=90)) as connection:
            connection.request(method, path, body, {"Content-Type": "application/json"} | named)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def metrics(self) -> set[str]:
        """The lines that Prometheus is given."""
        with closing(HTTPConnection("127.0.0.1", self.settings.web_port, timeout=10)) as connection:
            connection.request("GET", "/metrics")
            return set(connection.getresponse().read().decode().splitlines())

    @property
    def ready(self) -> bool:
        try:
            return self.ask("/ready")[0] == 200
        except OSError:
            return False

    @property
    def state(self) -> str:
        """What its status says of itself."""
        state: str = self.ask("/api/v1/status")[1]["state"]
        return state

    def partitions(self) -> dict[int, dict[str, Any]]:
        """What its status says of each of its partitions."""
        return {each["partition"]: each for each in self.ask("/api/v1/status")[1]["partitions"]}

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float = SECONDS) -> int:
        """Wait for its end; its exit code."""
        return self._process.wait(seconds)

    def terminate(self) -> float:
        """SIGTERM; seconds it took to exit."""
        started = time.monotonic()
        self.send_signal(signal.SIGTERM)
        assert self.wait() == 0, self.log
        return time.monotonic() - started

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    def failed(self) -> tuple[int, str]:
        """Exit code and last words of a worker that is to end by itself."""
        return self.wait(START_SECONDS), self.log


def _topics(pipeline: Pipeline) -> tuple[str, str]:
    return pipeline.topic, pipeline.labels


class Site:
    """Topics, group and data folders of a test's own; what is not given is as in production.

    Nothing is waited for by sleeping: :meth:`until` asks again until a
    condition holds, and fails at once when a worker has died.
    """

    def __init__(self, kafka: str, folder: Path, *, rules: str = RULES, **given: Any) -> None:
        name = uuid4().hex[:12]
        self.folder = folder
        (folder / "rules.toml").write_text(rules)
        usual: dict[str, Any] = {"partitions": 1, "clicks_topic": f"clicks-{name}"}
        self.settings = Settings(
            _env_file=None,
            broker=f"kafka://{kafka}",
            app_id=f"app-{name}",
            anomalies_topic=f"anomalies-{name}",
            rules=folder / "rules.toml",
            **usual | given,
        )
        self._kafka: dict[str, Any] = {"bootstrap.servers": kafka, "log_level": 0}
        self.admin = AdminClient(self._kafka)
        self._group = Consumer(self._kafka | {"group.id": self.settings.app_id})
        self._producers: list[Producer] = []
        self._producer = self.producer()
        self.checkouts: dict[str, Path] = {}
        self._ports: dict[str, int] = {}
        self._workers: list[Worker] = []

    def close(self) -> None:
        """Kill what runs; print what it said, which pytest shows for a test that failed."""
        for worker in self._workers:
            worker.kill()
        for log in self.folder.glob("*/log"):
            print(f"--- {log.parent.name}\n{log.read_text(errors='replace')[-6000:]}")
        self._group.close()
        for producer in self._producers:
            producer.close()
        settings = self.settings
        ours = {
            settings.clicks_topic,
            settings.rejected_topic,
            settings.late_topic,
            settings.anomalies_topic,
            settings.incidents_topic,
            *(topic for folder in settings.pipeline_folders for topic in _topics(Pipeline.load(folder))),
        }
        present = self.admin.list_topics(timeout=10).topics
        doomed = [name for name in present if name in ours or name.startswith(f"{settings.app_id}-")]
        for deleted in (self.admin.delete_topics(doomed) if doomed else {}).values():
            deleted.result()

    # -- workers --------------------------------------------------------------------------------------

    def launch(self, name: str = "one", *options: str, **changed: Any) -> Worker:
        """A worker, started with these options of the command, that is not waited for."""
        port = self._ports.setdefault(name, _free_port())
        own = {"worker_id": name, "data_dir": self.folder / name / "data", "web_port": port}
        settings = self.settings.model_copy(update=own | changed)
        checkout = self.checkouts.get(name)
        worker = Worker(settings, self.folder / name, *options, checkout=checkout)
        self._workers.append(worker)
        return worker

    def start(self, name: str = "one", **changed: Any) -> Worker:
        """A worker that counts clicks; its ``name`` is its place in the group and its data folder."""
        worker = self.launch(name, **changed)
        self.until(lambda: worker.ready, worker)
        return worker

    def move(self, name: str = "one") -> None:
        """Give a worker another port when it is started next."""
        self._ports[name] = _free_port()

    def forget_data(self, name: str = "one") -> None:
        """Delete the data folder of a worker."""
        shutil.rmtree(self.folder / name / "data")

    def until(
        self, condition: Callable[[], T | Literal[False]], *workers: Worker, seconds: float = SECONDS
    ) -> T:
        """What the condition says as soon as that is true."""
        deadline = time.monotonic() + seconds
        while not (met := condition()):
            for worker in workers:
                assert worker.alive, f"the worker died ({worker.wait()}):\n{worker.log[-6000:]}"
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s"
            time.sleep(0.05)
        return met

    def run(self, *arguments: str, seconds: float = SECONDS) -> subprocess.CompletedProcess[str]:
        """``faust -A app …`` beside the workers, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "faust", "-A", "app", *arguments],
            env=inherited() | environment_of(self.settings) | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    def launch_command(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The same, not waited for."""
        return faust(*arguments, environment=environment_of(self.settings), folder=self.folder)

    def write(self, name: str, content: str) -> Path:
        """A file of the test's own."""
        path = self.folder / name
        path.write_text(content)
        return path

    def changes(self) -> int:
        """How often the rules were changed; the first time is when they begin."""
        topic = RulesTopic(self.settings)
        asyncio.run(topic.read())
        return topic.book.number

    def put(self, rules: str) -> str:
        """Put rules into force by the command; what it says."""
        self.settings.rules.write_text(rules)
        done = self.run("rules", "put", str(self.settings.rules), "--why", "a test")
        assert done.returncode == 0, done.stderr
        return done.stdout

    # -- records --------------------------------------------------------------------------------------

    def create(self, **config: str) -> None:
        """Make the clicks topic as someone else would have."""
        new = NewTopic(self.settings.clicks_topic, self.settings.partitions, 1, config=config)
        self.admin.create_topics([new])[new.topic].result()

    def recreate(self) -> None:
        """Delete the clicks topic, and make it again."""
        topic = self.settings.clicks_topic
        self.admin.delete_topics([topic])[topic].result()
        self.until(lambda: topic not in self.admin.list_topics(timeout=10).topics)
        self.create()

    def grow(self, partitions: int, *topics: str) -> None:
        """Give the clicks topic, or these, as many partitions."""
        names = topics or (self.settings.clicks_topic,)
        wanted = [NewPartitions(name, partitions) for name in names]
        for grown in self.admin.create_partitions(wanted).values():
            grown.result()
        # Asked, the producer learns of them.
        self.until(lambda: all(len(self._known(name)) == partitions for name in names))
        if not topics:
            self.settings = self.settings.model_copy(update={"partitions": partitions})

    def _known(self, topic: str) -> dict[int, Any]:
        known: dict[int, Any] = self._producer.list_topics(topic, timeout=10).topics[topic].partitions
        return known

    def configure(self, name: str, value: str, topic: str = "") -> None:
        """Change one setting of the clicks topic, or of this one, in Kafka."""
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        changed = topic or self.settings.clicks_topic
        resource = ConfigResource(ResourceType.TOPIC, changed, incremental_configs=[entry])
        self.admin.incremental_alter_configs([resource])[resource].result()

    def send(self, *values: bytes | None, by: Producer | None = None, **more: Any) -> None:
        """Produce clicks in order and wait until Kafka has them.

        ``more``: ``partition`` (0), ``topic`` (the clicks), ``key``, ``timestamp``, ….
        """
        record: dict[str, Any] = {
            "topic": self.settings.clicks_topic,
            "partition": 0,
            "on_delivery": _check,
        } | more
        producer = by or self._producer
        for value in values:
            producer.produce(value=value, **record)
            producer.poll(0)
        assert producer.flush(SECONDS) == 0

    def producer(self, **config: Any) -> Producer:
        """A client of other settings, for :meth:`send`."""
        self._producers.append(Producer(self._kafka | PRODUCER | config))
        return self._producers[-1]

    def read(self, topic: str) -> list[ReadRecord]:
        """All committed records of a topic, up to what is its end now."""

        async def records() -> list[ReadRecord]:
            async with reader(self.settings, topic) as consumer:
                return [
                    ReadRecord(
                        number,
                        record.offset,
                        record.timestamp,
                        record.timestamp_type,
                        record.key,
                        record.value,
                        record.headers,
                    )
                    async for number, run in to_end(consumer)
                    for record in run
                ]

        return asyncio.run(records())

    def clicks(self) -> list[ReadRecord]:
        """The clicks topic."""
        return self.read(self.settings.clicks_topic)

    def rejected(self) -> list[ReadRecord]:
        """Copies of what could not be counted."""
        return self.read(self.settings.rejected_topic)

    def late(self) -> list[ReadRecord]:
        """Copies of clicks that came when their window was closed."""
        return self.read(self.settings.late_topic)

    def anomalies(self, status: str | None = None) -> list[dict[str, Any]]:
        """Anomalies, repeats included, each partition's in order."""
        found = [json.loads(record.value or b"") for record in self.read(self.settings.anomalies_topic)]
        return [anomaly for anomaly in found if status in (None, anomaly["status"])]

    def incidents(self) -> dict[str, dict[str, Any]]:
        """What the incidents topic says of each incident last."""
        records = self.read(self.settings.incidents_topic)
        return {(record.key or b"").decode(): json.loads(record.value or b"") for record in records}

    # -- what became of them --------------------------------------------------------------------------

    def committed(self, topic: str = "") -> dict[int, int]:
        """Offset the group continues at, by partition of the clicks or another topic; 0 where it has none."""
        topic = topic or self.settings.clicks_topic
        places = [TopicPartition(topic, number) for number in range(self.settings.partitions)]
        found = self.asked(lambda: self._group.committed(places, timeout=10))
        return {place.partition: max(0, place.offset) for place in found}

    def commit(self, offset: int) -> None:
        """Have the group continue there in partition 0, as one of its members would."""
        place = TopicPartition(self.settings.clicks_topic, 0, offset)
        self._group.commit(offsets=[place], asynchronous=False)

    def bounds(self, topic: str = "") -> dict[int, tuple[int, int]]:
        """First offset and end of each partition of the clicks, or another topic, as committed."""
        topic = topic or self.settings.clicks_topic
        return {number: self.ends(topic, number) for number in range(self.settings.partitions)}

    def ends(self, topic: str, number: int) -> tuple[int, int]:
        """First offset and end of a partition of a topic."""
        place = TopicPartition(topic, number)
        return self.asked(partial(self._group.get_watermark_offsets, place, timeout=10))

    def asked(self, question: Callable[[], T]) -> T:
        """Kafka's answer, asked again where a leader has just moved."""
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                return question()
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def behind(self, topic: str = "") -> dict[int, int]:
        """Offsets not yet taken for good, by partition of the clicks or another topic."""
        committed = self.committed(topic)
        bounds = self.bounds(topic)
        lag = {number: end - max(first, committed[number]) for number, (first, end) in bounds.items()}
        return {number: offsets for number, offsets in lag.items() if offsets}

    def await_counted(self, *workers: Worker) -> None:
        """Wait until all clicks are counted and the state behind them is durable."""
        self.until(lambda: not self.behind(), *workers)

    def verdict(self) -> Judgement:
        """What the oracle says of the anomalies."""
        settings = self.settings
        begins = {number: first for number, (first, _) in self.bounds().items()}
        late = excuses(self.late(), settings.clicks_topic)
        changes = self.read(settings.rules_topic)
        told = adoptions_told(changes)
        lists = Lists(changes), told.lists
        schemas = Registry(settings).schema
        rules = rulesfile.load(settings.rules)
        truth = Recount(settings, rules, late, begins, adoptions=told.rules, schemas=schemas, lists=lists)
        records = self.clicks()
        for number in begins:
            truth.add(number, [record for record in records if record.partition == number])
        return judge(truth, self.read(settings.anomalies_topic))


async def put_rules(
    settings: Settings,
    rules: Sequence[Rule],
    disallow: Sequence[Members] = (),
    allow: Sequence[Allowance] = (),
) -> None:
    """Put rules into force in place of others, and change who is allowed, without waiting until they are."""
    topic = RulesTopic(settings)
    await topic.read()
    raw = [msgspec.Raw(msgspec.json.encode(rule)) for rule in rules]
    about = {"what": "put", "who": "tests", "why": ""}
    change = change_of(topic.book, raw, now=time.time(), disallow=disallow, allow=allow, **about)
    await topic.write(change)


def _check(error: Any, message: Any) -> None:
    if error:
        raise KafkaException(error)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
