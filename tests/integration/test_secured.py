"""A Kafka that asks who one is and denies by default: what is wrong is said, the README's rights suffice."""

import asyncio
import gc
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from clickwarden.errors import AccessError, BrokerError, ClickwardenError
from clickwarden.kafka import rights, roles
from clickwarden.kafka.rights import Right
from clickwarden.kafka.topics import changelogs, declare
from clickwarden.settings import PREFIX, Settings
from clickwarden.sources.producer import ClickProducer
from tests.secured import SECRETS, WRONG_PASSWORD, SecuredKafka, secured_kafka, token_server
from tests.site import Site, Worker, clicks, faust

END_SECONDS = 10.0
EXAMPLE = Path(__file__).parents[2] / "examples" / "access.log"

#: aiokafka does not wait until a connection is closed on which it was refused.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

Change: TypeAlias = Callable[[SecuredKafka], dict[str, Any]]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    with secured_kafka(tmp_path_factory.mktemp("secured")) as kafka:
        kafka.user("user")
        yield kafka
        gc.collect()


@pytest.fixture
def topic(secured: SecuredKafka, tmp_path: Path) -> Iterator[Site]:
    """A site whose topics are all there."""
    topic = Site(secured.plaintext, tmp_path)
    asyncio.run(declare(topic.settings, *changelogs(topic.settings)))
    yield topic
    topic.close()


def user(kafka: SecuredKafka, name: str, needed: Sequence[Right]) -> dict[str, Any]:
    """Settings of a user who has these rights and no other."""
    for right in needed:
        kafka.allow(name, right)
    return kafka.user(name)


def settings_of(topic: Site, given: dict[str, Any]) -> Settings:
    own = {name: getattr(topic.settings, name) for name in topic.settings.model_fields_set}
    return Settings(_env_file=None, **own | given)


def run(topic: Site, folder: Path, settings: dict[str, Any], *arguments: str) -> tuple[int, str, float]:
    """A command of ours: its exit code, what it said, and how long that took."""
    folder.mkdir()
    given = {name: getattr(topic.settings, name) for name in topic.settings.model_fields_set}
    given |= {"data_dir": folder / "data"} | settings
    environment = {PREFIX + name.upper(): str(value) for name, value in given.items() if value is not None}
    began = time.monotonic()
    process = faust(*arguments, environment=environment, folder=folder)
    code = process.wait(60)
    return code, (folder / "log").read_text(), time.monotonic() - began


def is_ready(worker: Worker) -> bool:
    return worker.ready


def is_a_sentence(said: str) -> bool:
    """Whether it is one line and tells no secret."""
    return said.count("\n") <= 1 and "Traceback" not in said and not any(word in said for word in SECRETS)


# -- what is wrong with the settings ------------------------------------------------------------------


def sasl(**changed: Any) -> Change:
    return lambda kafka: kafka.sasl_settings("user") | changed


def certified(**changed: Any) -> Change:
    return lambda kafka: kafka.certificate_settings() | changed


def at(listener: str, **changed: Any) -> Change:
    """Settings of a user, to be used where another protocol is spoken."""
    return lambda kafka: (
        kafka.sasl_settings("user") | {"broker": f"kafka://{getattr(kafka, listener)}"} | changed
    )


def file(setting: str, name: str, change: Change) -> Change:
    return lambda kafka: change(kafka) | {setting: kafka.certificates[name]}


def localhost(kafka: SecuredKafka) -> dict[str, Any]:
    return kafka.sasl_settings("user") | {"broker": f"kafka://{kafka.sasl.replace('127.0.0.1', 'localhost')}"}


def intruder(kafka: SecuredKafka) -> dict[str, Any]:
    return kafka.certificate_settings("intruder")


WRONG: dict[str, tuple[Change, str, str, str]] = {
    "password": (sasl(sasl_password=WRONG_PASSWORD), "SASL_USERNAME=user", "does not let", "SASL_PASSWORD"),
    "no password": (sasl(sasl_password=""), "SASL_USERNAME=user", "does not let", "SASL_PASSWORD"),
    "user": (sasl(sasl_username="nobody"), "SASL_USERNAME=nobody", "does not let", "SASL_PASSWORD"),
    "password of PLAIN": (
        sasl(sasl_mechanism="PLAIN", sasl_username="plain", sasl_password=WRONG_PASSWORD),
        "SASL_USERNAME=plain",
        "does not let",
        "SASL_PASSWORD",
    ),
    "mechanism": (
        sasl(sasl_mechanism="SCRAM-SHA-256"),
        "SASL_MECHANISM=SCRAM-SHA-256",
        "does not offer",
        "SCRAM-SHA-512, PLAIN",
    ),
    "unknown authority": (
        file("ssl_cafile", "stranger.pem", sasl()),
        "SSL_CAFILE=",
        "no authority in it",
        "set it to",
    ),
    "no authority": (sasl(ssl_cafile=None), "SSL_CAFILE:", "no authority of this machine", "set it to"),
    "expired authority": (file("ssl_cafile", "expired.pem", sasl()), "SSL_CAFILE=", "has expired", "renew"),
    "host name": (localhost, "BROKER=kafka://localhost", "is another host's", "name a host"),
    "no TLS": (
        sasl(security_protocol="SASL_PLAINTEXT"),
        "SECURITY_PROTOCOL=SASL_PLAINTEXT",
        "does not speak",
        "set SASL_SSL",
    ),
    "neither TLS nor SASL": (
        sasl(security_protocol="PLAINTEXT"),
        "SECURITY_PROTOCOL=PLAINTEXT",
        "does not speak",
        "set SASL_SSL",
    ),
    "no SASL": (sasl(security_protocol="SSL"), "SECURITY_PROTOCOL=SSL", "does not speak", "set SASL_SSL"),
    "TLS where there is none": (
        at("plaintext", security_protocol="SSL"),
        "SECURITY_PROTOCOL=SSL",
        "does not speak",
        "set PLAINTEXT",
    ),
    "TLS and SASL where there is none": (
        at("plaintext"),
        "SECURITY_PROTOCOL=SASL_SSL",
        "does not speak",
        "set PLAINTEXT",
    ),
    "SASL where there is none": (
        at("plaintext", security_protocol="SASL_PLAINTEXT"),
        "SECURITY_PROTOCOL=SASL_PLAINTEXT",
        "does not speak",
        "set PLAINTEXT",
    ),
    "SASL where a certificate is wanted": (
        certified(security_protocol="SASL_SSL", sasl_username="user"),
        "SECURITY_PROTOCOL=SASL_SSL",
        "does not speak",
        "set SSL",
    ),
    "no TLS where a certificate is wanted": (
        certified(security_protocol="PLAINTEXT"),
        "SECURITY_PROTOCOL=PLAINTEXT",
        "does not speak",
        "set SSL",
    ),
    "no certificate": (
        certified(ssl_certfile=None, ssl_keyfile=None),
        "SSL_CERTFILE:",
        "asks for a client's certificate",
        "SSL_KEYFILE",
    ),
    "a stranger's certificate": (intruder, "SSL_CERTFILE=", "refuses the certificate", "an authority that"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_is_named_with_cause_and_cure(secured: SecuredKafka, name: str) -> None:
    change, setting, cause, cure = WRONG[name]
    settings = Settings(_env_file=None, **change(secured))
    began = time.monotonic()
    with pytest.raises(AccessError) as refused:
        asyncio.run(rights.check(settings, []))
    said = str(refused.value)
    assert said.startswith(f"{PREFIX}{setting}"), said
    assert cause in said
    assert cure in said
    assert is_a_sentence(said)
    assert time.monotonic() - began < END_SECONDS


def test_what_does_not_answer_is_no_wrong_setting(secured: SecuredKafka) -> None:
    settings = Settings(_env_file=None, **secured.sasl_settings("user") | {"broker": "kafka://127.0.0.1:1"})
    with pytest.raises(BrokerError, match=r"Kafka does not answer .*(failed|refused)"):
        asyncio.run(rights.check(settings, []))


def test_nodes_that_are_not_where_kafka_says_are_said(secured: SecuredKafka) -> None:
    settings = Settings(_env_file=None, broker=f"kafka://{secured.lost}")
    with pytest.raises(
        BrokerError, match=r"does not answer where it says .*\(advertised.listeners\) .*(failed|refused)"
    ):
        asyncio.run(rights.check(settings, []))


@pytest.mark.parametrize("name", ["user", "plain", "certificate"])
def test_right_settings_are_let_in(secured: SecuredKafka, name: str) -> None:
    given = {
        "user": sasl(),
        "plain": sasl(sasl_mechanism="PLAIN", sasl_username="plain"),
        "certificate": certified(),
    }[name]
    asyncio.run(rights.check(Settings(_env_file=None, **given(secured)), []))


@pytest.fixture
def tokens() -> Iterator[str]:
    with token_server() as url:
        yield url


def bearer(kafka: SecuredKafka, url: str, **changed: Any) -> dict[str, Any]:
    own = {"sasl_mechanism": "OAUTHBEARER", "sasl_token_url": url}
    return kafka.sasl_settings("shop") | own | changed


def test_a_token_lets_in_a_worker_with_its_rights(secured: SecuredKafka, topic: Site, tokens: str) -> None:
    for right in roles.worker(topic.settings):
        secured.allow("token", right)
    worker = topic.launch(**bearer(secured, tokens))
    topic.until(lambda: worker.ready, worker)


@pytest.mark.parametrize(
    ("path", "changed", "error", "cause"),
    [
        ("", {"sasl_password": WRONG_PASSWORD}, AccessError, "there is no token (401 Unauthorized)"),
        ("/expired", {}, AccessError, "refuses its tokens"),
        ("", {"sasl_token_url": "http://127.0.0.1:1"}, BrokerError, "Connection refused"),
    ],
)
def test_a_token_that_is_not_good_is_said(
    secured: SecuredKafka,
    tokens: str,
    path: str,
    changed: dict[str, Any],
    error: type[ClickwardenError],
    cause: str,
) -> None:
    settings = Settings(_env_file=None, **bearer(secured, tokens + path) | changed)
    with pytest.raises(error) as refused:
        asyncio.run(rights.check(settings, []))
    said = str(refused.value)
    assert said.startswith(f"{PREFIX}SASL_TOKEN_URL={settings.sasl_token_url}: ")
    assert cause in said
    assert is_a_sentence(said)


COMMANDS = {
    "worker": ("password", "no certificate", "no TLS where a certificate is wanted"),
    "simulate": ("unknown authority", "no SASL"),
    "replay": ("host name", "a stranger's certificate"),
    "verify": ("mechanism", "no TLS"),
    "alerts": ("expired authority", "TLS where there is none"),
}


@pytest.mark.alone
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_ends_with_the_sentence(
    secured: SecuredKafka, topic: Site, tmp_path: Path, command: str
) -> None:
    for name in COMMANDS[command]:
        change, setting, cause, cure = WRONG[name]
        arguments = (command, str(EXAMPLE)) if command == "replay" else (command,)
        code, said, took = run(topic, tmp_path / name, change(secured), *arguments)
        assert code == (2 if command == "verify" else 1), said
        sentence = said.splitlines()[-1]
        assert sentence.startswith(f"clickwarden: {PREFIX}{setting}"), said
        assert cause in sentence
        assert cure in sentence
        assert "Traceback" not in said
        assert not any(word in said for word in SECRETS)
        assert took < END_SECONDS


# -- rights -------------------------------------------------------------------------------------------


def needed_by(role: str, settings: Settings) -> list[Right]:
    return {
        "worker": roles.worker(settings),
        "producer": roles.producer(settings, f"{settings.app_id}-outbox-1"),
        "verify": roles.reader(
            settings.clicks_topic, settings.rules_topic, settings.late_topic, settings.anomalies_topic
        ),
        "alerts": roles.reader(settings.anomalies_topic, settings.status_topic),
    }[role]


@pytest.mark.parametrize("role", ["worker", "producer", "verify", "alerts"])
def test_each_right_that_is_taken_away_is_named(secured: SecuredKafka, topic: Site, role: str) -> None:
    needed = needed_by(role, topic.settings)
    settings = settings_of(topic, user(secured, role, needed))

    def missing() -> str:
        try:
            asyncio.run(rights.check(settings, needed))
        except AccessError as error:
            return str(error)
        return ""

    topic.until(lambda: not missing())
    for right in needed:
        secured.deny(role, right)
        said = topic.until(missing)
        assert said.startswith(f"Kafka denies User:{role} {right}; ")
        assert f"kafka-acls.sh --bootstrap-server {secured.sasl} --add --allow-principal User:{role}" in said
        assert f"--operation {right.operation}" in said
        assert f"--{right.kind} {right.prefix or right.name}" in said
        assert is_a_sentence(said)
        secured.allow(role, right)
        topic.until(lambda: not missing())


def test_who_has_no_right_is_told_all_at_once(secured: SecuredKafka, topic: Site) -> None:
    needed = roles.worker(topic.settings)
    settings = settings_of(topic, secured.user("nothing"))
    with pytest.raises(AccessError) as denied:
        asyncio.run(rights.check(settings, needed))
    said = str(denied.value)
    assert all(str(right) in said for right in needed)
    assert said.count("kafka-acls.sh") == 3  # Read, Write, and both


def test_the_right_to_create_is_needed_where_topics_are_missing(
    secured: SecuredKafka, tmp_path: Path
) -> None:
    topic = Site(secured.plaintext, tmp_path)
    settings = settings_of(topic, user(secured, "creator", needed_by("producer", topic.settings)))
    with pytest.raises(
        AccessError, match=rf"Create on topic {settings.clicks_topic}, Create on .* --operation"
    ):
        asyncio.run(declare(settings))
    secured.allow("creator", Right("Create", "topic", settings.clicks_topic[:7], prefix="clicks-"))
    topic.close()


@pytest.mark.alone
def test_the_rights_of_the_readme_are_enough(secured: SecuredKafka, topic: Site, tmp_path: Path) -> None:
    users = {
        role: user(secured, f"only-{role}", needed_by(role, topic.settings))
        for role in ("worker", "producer", "verify", "alerts")
    }
    # By PLAIN, which sends the password, and at a level at which all is logged.
    for right in needed_by("worker", topic.settings):
        secured.allow("plain", right)
    plain = {"sasl_mechanism": "PLAIN", "sasl_username": "plain"}
    worker = topic.launch("one", "-l", "debug", **users["worker"] | plain)
    code, said, _ = run(topic, tmp_path / "replay", users["producer"], "replay", "--everything", str(EXAMPLE))
    assert code == 0, said
    assert "5,000 clicks acknowledged, 0 wait" in said
    topic.until(lambda: worker.ready, worker)
    topic.await_counted(worker)
    shop = ("simulate", "--duration", "1", "--attack", "0")
    code, said, _ = run(topic, tmp_path / "simulate", users["producer"], *shop)
    assert code == 0, said
    topic.await_counted(worker)
    code, said, took = run(topic, tmp_path / "verify", users["verify"], "verify")
    assert code == 0, said
    assert took < END_SECONDS  # a connection of TLS takes long to close where something lies unread
    code, said, _ = run(topic, tmp_path / "alerts", users["alerts"], "alerts")
    assert code == 0, said
    assert "75.97.9.59" in said
    assert "ERROR" not in worker.log, worker.log
    assert not any(word in worker.log for word in SECRETS)


def test_rights_withdrawn_end_the_worker_with_the_sentence(secured: SecuredKafka, topic: Site) -> None:
    settings = topic.settings
    given = user(secured, "withdrawn", roles.worker(settings))
    now = time.time() // 60 * 60 - 120
    for right in (
        Right("Write", "topic", settings.anomalies_topic),
        Right("Read", "topic", settings.clicks_topic),
        Right("Read", "group", settings.app_id),
        Right("Write", "topic", f"{settings.app_id}-snapshots-changelog"),
    ):
        worker = topic.launch(**given)
        topic.until(partial(is_ready, worker), worker)
        before = len(worker.log)
        secured.deny("withdrawn", right)
        topic.send(*clicks(f"eve-{right.operation}-{right.kind}", 60, now, now + 50))
        code = worker.wait(20)
        said = worker.log[before:]
        assert code == 1, said
        assert f"clickwarden: Kafka denies User:withdrawn {right}; " in said
        secured.allow("withdrawn", right)


def test_a_worker_that_may_not_write_the_rules_says_so_to_who_changes_one(
    secured: SecuredKafka, topic: Site
) -> None:
    given = user(secured, "reader", roles.worker(topic.settings))
    worker = topic.launch(**given)
    topic.until(partial(is_ready, worker), worker)
    right = Right("Write", "topic", topic.settings.rules_topic)
    secured.deny("reader", right)

    def denies() -> bool:
        try:
            asyncio.run(rights.check(settings_of(topic, given), [right]))
        except AccessError:
            return True
        return False

    topic.until(denies, worker)  # it learns of it a little later
    status, answer = worker.send("PATCH", "/api/v1/rules/bot", {"threshold": 40, "edition": 1, "why": "w"})
    assert status == 503
    assert answer["error"].startswith(
        f"Kafka denies User:reader {right}; its administrator gives that with: "
    )
    assert topic.changes() == 1
    assert worker.alive


@pytest.mark.alone
def test_rights_withdrawn_end_the_producer(secured: SecuredKafka, topic: Site, tmp_path: Path) -> None:
    given = user(secured, "seller", needed_by("producer", topic.settings)) | {"data_dir": tmp_path / "outbox"}
    settings = settings_of(topic, given)
    write = Right("Write", "topic", settings.clicks_topic)

    async def sell() -> None:
        async with asyncio.timeout(END_SECONDS), ClickProducer(settings) as producer:
            await producer.send("ann", "view", None, time.time())
            await producer.flush()
            secured.deny("seller", write)
            while True:
                await producer.send("ann", "view", None, time.time())
                await producer.flush()

    async def finish() -> None:
        async with asyncio.timeout(END_SECONDS), ClickProducer(settings) as producer:
            assert producer.left > 0

    with pytest.raises(AccessError, match=f"Kafka denies User:seller {write}; "):
        asyncio.run(sell())
    secured.allow("seller", write)
    asyncio.run(finish())


def test_a_password_that_is_changed_is_said_once_and_the_worker_waits(
    secured: SecuredKafka, topic: Site
) -> None:
    given = user(secured, "changed", roles.worker(topic.settings))
    worker = topic.launch(**given)
    topic.until(lambda: worker.ready, worker)
    secured.change_password("changed", "another")
    secured.restart()  # which closes the connections that know the old one
    topic.until(lambda: f"{PREFIX}SASL_USERNAME=changed: Kafka at" in worker.log, worker)
    topic.until(lambda: worker.state == "away", worker)
    assert "changed" not in worker.ask("/ready")[1]["detail"]
    secured.change_password("changed", given["sasl_password"])
    topic.until(lambda: worker.ready, worker)
    now = time.time() // 60 * 60 - 120
    topic.send(*clicks("eve", 60, now, now + 50))
    topic.await_counted(worker)
    assert worker.log.count(f"[WARNING] {PREFIX}SASL_USERNAME=changed: Kafka at") == 1
    assert "Kafka answers again" in worker.log


def test_a_worker_goes_on_with_a_certificate_that_was_renewed_on_disk(
    secured: SecuredKafka, topic: Site, tmp_path: Path
) -> None:
    def install(name: str) -> None:
        for kind in ("pem", "key"):
            shutil.copy(secured.certificates[f"{name}.{kind}"], tmp_path / "new")
            os.replace(tmp_path / "new", tmp_path / f"own.{kind}")

    own = {"ssl_certfile": tmp_path / "own.pem", "ssl_keyfile": tmp_path / "own.key"}
    secured.certificates.issue("renewed", "DNS:shop")
    install("shop")
    for right in roles.worker(topic.settings):
        secured.allow("CN=shop", right)
        secured.allow("CN=renewed", right)
    worker = topic.launch(**secured.certificate_settings() | own)
    topic.until(lambda: worker.ready, worker)
    install("renewed")
    secured.restart()
    for right in roles.worker(topic.settings):
        secured.deny("CN=shop", right)
    now = time.time() // 60 * 60 - 120
    topic.send(*clicks("eve", 60, now, now + 50))
    topic.await_counted(worker)
    assert "Certificates for Kafka were renewed" in worker.log
