"""The Faust application, made of the settings."""

import asyncio
import fcntl
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import faust
from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError
from faust.types.auth import CredentialsT

from app.appointing import Appointing
from app.assignor import Assignor
from app.clock import KafkaClock, mark, wrong
from app.discretion import Discretion
from app.founding import Founding
from app.growth import Growth
from app.membership import HEARTBEAT_SECONDS, Membership
from app.presence import Presence, SeldomRepeated
from app.pulse import REFUSED, Pulse, end
from app.room import make_room, shortage
from app.transport import BatchTransport, Source
from app.visitors import Web
from clickwarden.blocking.keys import keys_of
from clickwarden.channels import channelsfile
from clickwarden.channels.channelsfile import Channels
from clickwarden.channels.secret import Secret
from clickwarden.detection import rulesfile
from clickwarden.detection.rules import Rule, by_name
from clickwarden.errors import BrokerError, ClickwardenError, SettingsError
from clickwarden.kafka import rights, roles
from clickwarden.kafka.modelstopic import ModelsTopic
from clickwarden.kafka.partitioner import partition_of
from clickwarden.kafka.rulestopic import RulesTopic
from clickwarden.kafka.topics import RECORD_BYTES, layout
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.served import DRIFTING, PREFIX, labels_topics, served
from clickwarden.settings import WILDCARDS, Settings, environment

log = logging.getLogger(__name__)

#: A fetch larger than this costs memory and latency and gains no speed.
FETCH_BYTES = 256 * 1024
#: Longest that a task has for its end before it is cancelled once more, seconds.
CANCEL_SECONDS = 3.0


class Worker(faust.Worker):  # type: ignore[misc]
    """Checks what the application needs before it starts it."""

    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        """Do without Faust's spinner, which has every library make debug records to turn on.

        And without aiokafka's word for each consumer that is told what to read: one is, every minute.
        """
        self.spinner = None
        logging.getLogger("aiokafka.consumer.subscription_state").setLevel(logging.WARNING)
        for handler in logger.handlers:
            handler.addFilter(Discretion())
            handler.addFilter(SeldomRepeated())

    def execute_from_commandline(self) -> None:
        """Run until stopped."""
        conf = self.app.conf
        try:
            self.lock = _lock(self.app.settings.data_dir)
            if conf.web_enabled:
                _check_free(conf.web_bind, conf.web_port)
            self.loop.run_until_complete(self._prepare())
        except ClickwardenError as error:
            sys.exit(f"clickwarden: {error}")
        super().execute_from_commandline()

    async def _prepare(self) -> None:
        """See that the worker has what it needs of Kafka and of the machine, and learn what the time is."""
        settings, needed = self.app.settings, roles.worker(self.app.settings)
        if "channels" in settings.model_fields_set or settings.channels.exists():
            self.app.channels = channelsfile.load(settings.channels, environment())
            needed += roles.teller(settings)
        if settings.block_severity:
            self.app.bouncer_keys = keys_of(settings.block_keys.get_secret_value(), environment())
        if self.app.pipelines:
            needed += roles.scorer(settings, *self.app.pipelines, *self.app.labels_topics)
        await rights.check(settings, needed)
        await self.app.growth.follow()
        self.app.web.visitors.limit = make_room(settings, self.app.growth.partitions)
        await rights.check(settings, needed)  # to what was created now
        await self.app.founding.begin()
        if self.app.pipelines:
            await self.app.appointing.begin()
        if self.app.channels is not None:
            names = [PREFIX + pipeline.name for pipeline in self.app.pipelines.values()]
            names += [name + DRIFTING for name in names]
            self.app.channels.check([*self.app.rulestopic.book.names, *names])
        await mark(settings, self.app.clock)


def _lock(folder: Path) -> BinaryIO:
    """Take the data folder for as long as the file is open: RocksDB has room for one worker."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "worker.lock").open("wb")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise SettingsError(
            shortage(error, folder)
            or f"CLICKWARDEN_DATA_DIR={folder}: cannot be used ({error.strerror}); another worker may use "
            "it: give each a folder of its own"
        ) from None
    return lock


def _check_free(host: str, port: int) -> None:
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        raise SettingsError(
            f"CLICKWARDEN_WEB_PORT={port}: the page cannot be served on {host} ({error.strerror}); "
            "another worker may run here: choose another port"
        ) from None


class Application(faust.App):  # type: ignore[misc]
    """Faust with the batch transport.

    Attributes:
        settings: what it was made of.
        clock: Kafka's.
        sources: who counts the topics that are delivered a run at a time; set by the agents that do.
        companions: what runs beside the application from its start, before its tables are recovered.
        pulse: beats while the worker does; asked before it speaks to Kafka.
        growth: how many partitions there are to count.
        rulestopic: the rules in force.
        founding: what the file of rules is to them.
        channels: where people are told; None: nowhere.
        bouncer_keys: one of them a bouncer has to show.
        presence: whether Kafka answers.
        pipelines: whose topics are scored, by topic.
        labels_topics: of their labels, each once.
        modelstopic: their models.
        appointing: what their folders are to them.
        membership: whether the worker's place in the group is certain; waited for before it speaks to Kafka.
    """

    settings: Settings
    clock: KafkaClock
    sources: dict[str, Source]
    companions: list[Callable[[], Coroutine[Any, Any, None]]]
    pulse: Pulse
    growth: Growth
    rulestopic: RulesTopic
    founding: Founding
    channels: Channels | None
    bouncer_keys: Sequence[Secret]
    presence: Presence
    membership: Membership
    pipelines: Mapping[str, Pipeline]
    labels_topics: Sequence[str]
    modelstopic: ModelsTopic
    appointing: Appointing

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What is abnormal: the rules in force, of a worker; of what needs none, those of the file."""
        return self.rulestopic.book.rules if self.rulestopic.book.number else self._file

    @cached_property
    def _file(self) -> tuple[Rule, ...]:
        return rulesfile.load(self.settings.rules)

    def companion(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have a task run from the start; Faust begins its own only when the tables are recovered."""
        self.companions.append(run)

    async def on_first_start(self) -> None:
        """Begin what runs from the start."""
        await super().on_first_start()
        if by := wrong(self.clock.ahead):
            log.warning("The worker's clock is %s", by)
        mute = self.channels.warnings(by_name(self.rules)) if self.channels is not None else []
        for words in (*self.founding.warnings, *self.appointing.warnings, *mute):
            log.warning("%s", words)
        if not self.clock.known:
            log.warning(
                "Kafka's clock cannot be known, and the worker judges by its own what is live: topic %s has "
                "message.timestamp.type=CreateTime; set LogAppendTime",
                self.settings.status_topic,
            )
        for run in self.companions:
            self.add_future(run())

    async def _gather_futures(self, *, timeout: float | None = None) -> None:
        """Wait until every task has ended.

        Cancelled once, one that Kafka has just answered goes on, for up to a
        minute: before Python 3.12 ``asyncio.wait_for``, of which aiokafka waits
        for answers, drops a cancellation that comes with the answer
        (python/cpython#86296).
        """
        while self._futures:
            await asyncio.wait(self._futures, timeout=CANCEL_SECONDS)
            for future in self._futures:
                future.cancel()

    @asynccontextmanager
    async def crash_on_error(self) -> AsyncIterator[None]:
        """End the worker when a step fails.

        Faust logs what its agents, callbacks and timers raise and goes on, behind
        what was not done; the next start begins with it. What we say ourselves
        needs no trace, and nobody is waited for: the state is Kafka's.
        """
        try:
            yield
        except ClickwardenError as error:
            end(str(error), REFUSED)
        except Exception as error:
            await self.end_if_refused(error)
            await self.crash(error)
            raise

    async def end_if_refused(self, error: Exception) -> None:
        """Exit at once, with one sentence, where a right is missing or a setting is wrong."""
        cause = error.__cause__ if isinstance(error, ProducerSendError) else error
        if isinstance(cause, KafkaError):
            needed = [*roles.worker(self.settings), *roles.reader(*self.pipelines, *self.labels_topics)]
            why = await rights.explain(self.settings, needed, cause)
            if not isinstance(why, BrokerError):
                end(str(why), REFUSED)

    def _on_autodiscovery_error(self, name: str) -> None:
        """End, where Faust would log that a module cannot be loaded, and work without what is in it.

        Raises:
            ClickwardenError: always.
        """
        error = sys.exc_info()[1]
        raise ClickwardenError(
            f"module {name} cannot be loaded, and nothing works without it: {type(error).__name__}: {error}; "
            "install Clickwarden anew"
        ) from error

    def _new_web(self) -> Web:
        return Web(self)

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)


def _credentials(settings: Settings) -> CredentialsT | None:
    if settings.tokens is not None:
        return faust.OAuthCredentials(oauth_cb=settings.tokens, ssl_context=settings.ssl_context)
    if settings.security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=settings.sasl_username,
            password=settings.sasl_password.get_secret_value(),
            mechanism=settings.sasl_mechanism,
            ssl_context=settings.ssl_context,
        )
    if settings.ssl_context is not None:
        return faust.SSLCredentials(settings.ssl_context)
    return None


def create(settings: Settings) -> Application:
    """The application, not yet started and with no agent in it."""
    application = Application(
        settings.app_id,
        autodiscover=["commands", "tables", "agents", "web"],
        broker=settings.broker_urls,
        broker_credentials=_credentials(settings),
        store="rocksdb://",
        datadir=str(settings.data_dir),
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_disable_leader=True,
        # They are all there: asked for again, Kafka would want the right to create them.
        topic_allow_declare=False,
        table_standby_replicas=settings.standbys,
        recovery_buffer_size=100,
        stream_recovery_delay=0.2,
        stream_buffer_maxsize=64,
        stream_publish_on_commit=False,
        broker_max_poll_records=None,
        broker_commit_interval=1.0,
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=HEARTBEAT_SECONDS,
        broker_rebalance_timeout=2 * settings.session_timeout,
        broker_request_timeout=2 * settings.session_timeout,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=FETCH_BYTES,
        consumer_group_instance_id=settings.member,
        producer_acks=-1,
        producer_partitioner=partition_of,
        producer_linger=0.005,
        producer_compression_type="lz4",
        producer_max_batch_size=256 * 1024,
        producer_max_request_size=RECORD_BYTES,
        producer_request_timeout=60.0,
        processing_guarantee="at_least_once",
        web_bind=settings.web_bind,
        web_port=settings.web_port,
        # What other workers reach this one by.
        web_host=socket.gethostname() if settings.web_bind in WILDCARDS else settings.web_bind,
        PartitionAssignor=Assignor,
        Worker=Worker,
    )
    application.settings = settings
    application.clock = KafkaClock()
    application.sources = {}
    application.companions = []
    application.pipelines = served(settings.pipeline_folders, [topic.name for topic in layout(settings)])
    application.modelstopic = ModelsTopic(settings)
    application.labels_topics = labels_topics(application.pipelines.values())
    application.growth = Growth(settings, list(application.pipelines), application.labels_topics)
    application.rulestopic = RulesTopic(settings)
    application.appointing = Appointing(settings, application.modelstopic, application.pipelines.values())
    application.founding = Founding(settings, application.rulestopic)
    application.channels = None
    application.bouncer_keys = ()
    application.presence = Presence(settings, application.growth)
    application.membership = Membership(settings, application.presence)
    application.pulse = Pulse(settings.session_timeout / 2, application.membership.check)
    return application
