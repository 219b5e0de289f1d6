"""Every setting: one table that drives configuration, ``--help`` and the docs.

A setting comes from the environment (``CLICKWARDEN_LATENESS=5``) or from a
``.env`` file in the working directory; the environment wins.
"""

import difflib
import os
import re
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, Self

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from clickwarden.certificates import Files, RenewedContext
from clickwarden.errors import SettingsError
from clickwarden.tokens import Tokens

PREFIX = "CLICKWARDEN_"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
WILDCARDS = ("0.0.0.0", "::")
#: NIST SP 800-63B, 5.1.1.1, where guesses are limited.
TOKEN_LENGTH = 8
#: Whoever has what a secret signs can try secrets at leisure: 128 bits in hexadecimal digits.
SECRET_LENGTH = 32

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")]


def _places(written: str) -> str:
    """Check what says where a field stands, without spaces around its places.

    Raises:
        ValueError: it names no place.
    """
    places = [place.strip() for place in written.split("|")]
    for place in places:
        name = place.removeprefix("@header:").removeprefix("@field:")
        if not name or '"' in name or "\\" in name or not name.isprintable():
            raise ValueError(f"{place!r} names nothing: write a name, a path, or several with | between")
        if name == place and place.startswith("@") and place not in ("@key", "@timestamp"):
            raise ValueError(
                f"{place!r} is neither @key, @timestamp nor @header:NAME; a field of that name is "
                f"@field:{place}"
            )
    return "|".join(places)


Places = Annotated[str, AfterValidator(_places)]


def environment() -> dict[str, str]:
    """What is set in the environment and, where it is not there, in ``.env`` in the working directory."""
    written = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    return {**written, **os.environ}


class Settings(BaseSettings):
    """What can be set. Times are in seconds, sizes in the unit that the description names.

    >>> Settings(broker="kafka://kafka-1:9092,kafka-2:9092").bootstrap
    'kafka-1:9092,kafka-2:9092'

    :meth:`load` is for programs. Made directly, it takes what it is given by
    name, and the rest from the same places; it cannot be changed afterwards.

    Raises:
        pydantic.ValidationError: one is wrong; :meth:`load` says it in our own words.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    broker: str = Field(
        "kafka://127.0.0.1:9092",
        description="Kafka's bootstrap servers: kafka://host:port[,host:port…]",
    )
    app_id: TopicName = Field("clickwarden", description="Consumer group, and prefix of the changelog topics")
    data_dir: Path = Field(
        Path("data"),
        description="Folder of the worker's RocksDB tables (a copy; Kafka holds the original), and under "
        "outbox/ of clicks that wait for Kafka (no copy)",
    )
    outbox_quota: int = Field(
        1024,
        ge=1,
        description="Disk space for the clicks that wait for Kafka in simulate, replay, collect or a "
        "producer of yours, MiB; where it is used up, sending is an error",
    )
    worker_id: str = Field(
        "",
        description="Stable name of this worker (static membership), different for each worker; "
        "default: host name and web port",
    )
    clicks_topic: TopicName = Field(
        "clicks", description="Topic to watch; its .rejected and .late are written beside it"
    )
    anomalies_topic: TopicName = Field(
        "anomalies",
        description="Topic the anomalies go to; the incidents that they are go to incidents, or to "
        "NAME.incidents where this is another",
    )
    partitions: int = Field(
        4,
        ge=1,
        le=4096,
        description="Partitions of the clicks topic where it has to be created; one that exists is counted "
        "whole, also when it is given more",
    )
    replication: int = Field(
        1, ge=1, le=9, description="Copies Kafka keeps of each topic we create; 3 outside development"
    )
    rules: Path = Field(
        Path("rules.toml"), description="File that says what is abnormal, until the rules topic does"
    )
    channels: Path = Field(
        Path("channels.toml"), description="File that says where people are told (docs/channels.md)"
    )
    pipelines: str = Field(
        "",
        description="Folders of pipelines whose topics are scored beside the clicks, with commas between "
        "(docs/learned.md); the same for every worker. Needs the extra clickwarden[serve]",
    )
    field_user_id: Places = Field(
        "user_id",
        description="Where the user stands in a click: a name; a path (context.traits.userId); several with "
        "| between, of which the first counts that is there; @key, @header:NAME; @field:NAME for a name with "
        "such signs in it",
    )
    field_event: Places = Field("event", description="Where the event stands, in the same way")
    field_product_id: Places = Field("product_id", description="Where the product stands, in the same way")
    field_timestamp: Places = Field(
        "timestamp",
        description="Where the time stands, in the same way; @timestamp is the record's own in Kafka",
    )
    timestamp_format: str = Field(
        "",
        description="How a time is written that is no number and no ISO-8601, as Python's strptime has it: "
        "%d/%b/%Y:%H:%M:%S %z; UTC where it names no zone",
    )
    lateness: Seconds = Field(
        5.0,
        description="How far behind the event time of its partition a click may be, seconds; one that comes "
        "later corrects what was reported",
    )
    late_limit: Seconds = Field(
        900.0,
        description="How long after its window was closed a click is still counted, and what was reported "
        "corrected, seconds",
    )
    idle_timeout: PositiveSeconds = Field(
        10.0,
        description="Silence at the end of a partition after which wall clock closes its windows, seconds",
    )
    max_skew: Seconds = Field(
        60.0,
        description="How far a click's time may lie beyond the time Kafka received it, seconds",
    )
    blind_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Part of the recent records, 0 to 1, that cannot be counted from which on the worker is "
        "blind: the page then has no verdict, and /ready says no. With half, a broken sender among several "
        "is a figure, and a broken topic an alarm",
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**64,
        repr=False,
        description="Secret seed of the sketches' hash: nobody who does not know it can craft colliding "
        "user ids; the same for every worker, and for as long as the state is",
    )
    max_suspects: int = Field(
        10_000,
        ge=1,
        description="Users profiled at once in one window of one partition; beyond it only users over "
        "the threshold are, and a metric says so",
    )
    checkpoint_interval: PositiveSeconds = Field(
        2.0, description="Time between two snapshots of a partition that changes, seconds"
    )
    session_timeout: float = Field(
        10.0,
        ge=6,
        le=300,
        description="Silence after which Kafka takes a worker for dead and moves its partitions, seconds",
    )
    standbys: int = Field(
        1, ge=0, le=8, description="Further workers that keep a warm copy of each partition's tables"
    )
    web_port: int = Field(6066, ge=1, le=65535, description="Port of the page and the API")
    web_bind: str = Field("127.0.0.1", description="Address the page is served on")
    web_token: SecretStr = Field(
        SecretStr(""),
        description="Token that guards the page, at least 8 characters; needed when web_bind is not loopback",
    )
    block_severity: Literal["", "low", "medium", "high", "critical"] = Field(
        "",
        description="Severity from which on an incident has its user on the list of who is to be blocked "
        "(docs/blocking.md): low, medium, high or critical; empty: there is no list",
    )
    block_seconds: PositiveSeconds = Field(
        4 * 3600.0,
        description="How long after the last click known somebody is blocked the first time, seconds",
    )
    block_most: float = Field(
        7 * 86_400.0,
        gt=0,
        le=21 * 86_400,
        description="Who comes back after a block is blocked twice as long each time, and at most so long, "
        "seconds",
    )
    block_private: bool = Field(
        False, description="Block addresses of private networks (10.0.0.0/8, fc00::/7 and their like), too"
    )
    block_keys: SecretStr = Field(
        SecretStr(""),
        description="Keys of CrowdSec's bouncers, at least 8 characters, with commas between: one for each "
        "bouncer. ${NAME} is of the environment, ${file:PATH} what a file holds; empty: no bouncer may ask",
    )
    collect_port: int = Field(6067, ge=1, le=65535, description="Port that collect takes clicks at")
    collect_bind: str = Field("127.0.0.1", description="Address that collect takes clicks at")
    collect_token: SecretStr = Field(
        SecretStr(""),
        description="Token that servers send clicks with, and that signs the keys of pages, at least "
        f"{SECRET_LENGTH} characters; needed when collect_bind is not loopback",
    )
    collect_rate: float = Field(
        50.0,
        gt=0,
        le=1e6,
        description="Clicks a second that collect takes of an IPv4 address, or a /64 of IPv6, without the "
        "token; ten times as many at once",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to Kafka"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "PLAIN", description="SASL mechanism"
    )
    sasl_username: str = Field("", description="SASL user; of OAUTHBEARER the client's id")
    sasl_password: SecretStr = Field(
        SecretStr(""), description="SASL password; of OAUTHBEARER the client's secret"
    )
    sasl_token_url: str = Field(
        "",
        pattern=r"^(https?://[^/@]+(/.*)?)?$",
        description="Token endpoint of the OAuth 2.0 server that OAUTHBEARER takes its tokens from (client "
        "credentials)",
    )
    ssl_cafile: Path | None = Field(None, description="CA certificates that sign the brokers' (PEM)")
    ssl_certfile: Path | None = Field(None, description="Client certificate (PEM)")
    ssl_keyfile: Path | None = Field(None, description="Key of the client certificate (PEM, not encrypted)")

    registry_url: str = Field(
        "",
        pattern=r"^(https?://[^/@?#]+(/[^?#]*)?)?$",
        description="Schema registry of a topic in Avro, Protobuf or JSON Schema: Confluent's, or one with "
        "its API; the certificates of ssl_cafile are good for it, too. Needs the extra "
        "clickwarden[registry]: pip install fastavro protobuf",
    )
    registry_username: str = Field("", description="User at the schema registry; Confluent Cloud's API key")
    registry_password: SecretStr = Field(
        SecretStr(""), description="Password at the schema registry; Confluent Cloud's API secret"
    )
    connect_url: str = Field(
        "",
        pattern=r"^(https?://[^/@?#]+(/[^?#]*)?)?$",
        description="REST of the Kafka Connect whose Debezium captures what the worker reads "
        "(docs/capture.md#watched): http://127.0.0.1:8083; empty: nobody watches whether that comes",
    )
    capture_database: str = Field(
        "",
        pattern=r"^(postgres(ql)?://.+)?$",
        repr=False,  # who should not have might have written a password into it
        description="The PostgreSQL that it captures from, as who may ask for its slots: "
        "postgresql://ROLE@HOST:PORT/NAME; the password is in the file that PGPASSFILE names (~/.pgpass). "
        "Needs psycopg: pip install 'psycopg[binary]'",
    )

    @classmethod
    def load(cls) -> Self:
        """The settings of the environment and of ``.env`` in the working directory.

        Raises:
            SettingsError: one is unknown or wrong; the message names it, its value and the cure.
        """
        for name in environment():
            setting = name.removeprefix(PREFIX).lower()
            if name.startswith(PREFIX) and setting not in cls.model_fields:
                near = difflib.get_close_matches(setting, cls.model_fields, n=1)
                hint = (
                    f"did you mean {PREFIX}{near[0].upper()}?"
                    if near
                    else "see the README's table of settings"
                )
                raise SettingsError(f"{name} is no setting of Clickwarden: {hint}")
        try:
            return cls()
        except ValidationError as error:
            raise SettingsError("\n".join(_explain(error))) from None

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        """Addresses are some, the page and the collector have a lock, and no block is longer than may be."""
        for address in self.broker.removeprefix("kafka://").split(","):
            if "@" in address:
                raise ValueError(
                    "broker: an address has no user and password in it; set "
                    f"{PREFIX}SASL_USERNAME and {PREFIX}SASL_PASSWORD, and write kafka://host:port[,host:port…]"
                )
            if not re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[\w.-]+):\d{1,5}", address):
                raise ValueError(
                    f"broker: {address!r} is not host:port; write kafka://host:port[,host:port…]"
                )
        for door, length in (("web", TOKEN_LENGTH), ("collect", SECRET_LENGTH)):
            bind = getattr(self, f"{door}_bind")
            token = getattr(self, f"{door}_token").get_secret_value()
            if bind not in LOOPBACK and not token:
                raise ValueError(
                    f"{door}_bind: {bind!r} can be reached from other machines; "
                    f"set {PREFIX}{door.upper()}_TOKEN to a secret, or bind to 127.0.0.1"
                )
            if 0 < len(token) < length:
                raise ValueError(
                    f"{door}_token: is shorter than {length} characters and could be guessed; "
                    "'openssl rand -hex 16' makes one"
                )
        if self.block_most < self.block_seconds:
            raise ValueError(
                f"block_most: is less than {PREFIX}BLOCK_SECONDS={self.block_seconds:g}, how long the first "
                "block lasts; make it as long at least"
            )
        return self

    @model_validator(mode="after")
    def _readable(self) -> "Settings":
        """Each field of a click is one that can be."""
        for name in ("user_id", "event", "product_id"):
            if "@timestamp" in self.field_names[name].split("|"):
                raise ValueError(
                    f"field_{name}: @timestamp is a time; a field of that name is @field:@timestamp"
                )
        if self.timestamp_format:
            _check_format(self.timestamp_format)
        return self

    @model_validator(mode="after")
    def _usable(self) -> "Settings":
        """What is shown to Kafka is there."""
        if self.security_protocol.startswith("SASL") and not self.sasl_username:
            raise ValueError(
                f"sasl_username: is needed with security_protocol {self.security_protocol}; "
                f"set {PREFIX}SASL_USERNAME and {PREFIX}SASL_PASSWORD"
            )
        for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
            path = getattr(self, name)
            if path is not None and not path.is_file():
                raise ValueError(f"{name}: no such file: {path}")
        if self.ssl_keyfile is not None and self.ssl_certfile is None:
            raise ValueError(f"ssl_keyfile: is of no use without the certificate; set {PREFIX}SSL_CERTFILE")
        if self.registry_url and not all(map(find_spec, ("fastavro", "google", "google.protobuf"))):
            raise ValueError(
                "registry_url: what reads Avro and Protobuf is not installed: pip install fastavro protobuf"
            )
        if self.registry_password.get_secret_value() and not self.registry_username:
            raise ValueError(f"registry_username: is needed with a password; set {PREFIX}REGISTRY_USERNAME")
        self._check_capture()
        if self._is_by_token and not self.sasl_token_url:
            raise ValueError("sasl_token_url: is needed with sasl_mechanism OAUTHBEARER; set it")
        if "SSL" in self.security_protocol:
            try:
                self.certificates.context()
            except SettingsError as error:
                raise ValueError(str(error)) from None
        return self

    def _check_capture(self) -> None:
        for name, other in (("connect_url", "capture_database"), ("capture_database", "connect_url")):
            if getattr(self, name) and not getattr(self, other):
                raise ValueError(
                    f"{name}: one alone does not say whether changes come; set {PREFIX}{other.upper()}, too"
                )
        if re.search(r"//[^/@?]*:[^/@?]*@|[?&](ssl)?password=", self.capture_database):
            raise ValueError(
                "capture_database: an address has no password in it; put it into the file that PGPASSFILE "
                "names (~/.pgpass), as HOST:PORT:NAME:ROLE:PASSWORD"
            )
        if self.capture_database and find_spec("psycopg") is None:
            raise ValueError(
                "capture_database: what asks PostgreSQL is not installed: pip install 'psycopg[binary]' (the "
                "extra clickwarden[capture])"
            )

    @property
    def broker_urls(self) -> list[str]:
        """``kafka://host:port`` for each bootstrap server."""
        return [f"kafka://{address}" for address in self.bootstrap.split(",")]

    @property
    def bootstrap(self) -> str:
        """The bootstrap servers as Kafka's own clients write them: ``host:port,…``."""
        return self.broker.removeprefix("kafka://")

    @property
    def rejected_topic(self) -> str:
        """Where records go that cannot be counted."""
        return f"{self.clicks_topic}.rejected"

    @property
    def late_topic(self) -> str:
        """Where clicks go whose window was closed."""
        return f"{self.clicks_topic}.late"

    @property
    def incidents_topic(self) -> str:
        """What incidents the anomalies are: theirs alone, whoever else reports to this Kafka."""
        is_default = self.anomalies_topic == type(self).model_fields["anomalies_topic"].default
        return "incidents" if is_default else f"{self.anomalies_topic}.incidents"

    @property
    def told_topic(self) -> str:
        """What people were told, and where."""
        return f"{self.app_id}-told"

    @property
    def feedback_topic(self) -> str:
        """What people say of incidents."""
        return f"{self.app_id}-feedback"

    @property
    def rules_topic(self) -> str:
        """Where the rules are, and since when each partition is counted by which."""
        return f"{self.app_id}-rules"

    @property
    def models_topic(self) -> str:
        """Where the models of pipelines are, and since when each partition is scored by which."""
        return f"{self.app_id}-models"

    @property
    def pipeline_folders(self) -> list[Path]:
        """The folders of the pipelines."""
        return [Path(folder.strip()) for folder in self.pipelines.split(",") if folder.strip()]

    @property
    def status_topic(self) -> str:
        """Where each worker says once a second how it is doing."""
        return f"{self.app_id}-status"

    def named_by(self, topic: str) -> str:
        """The setting that decides the name of one of our topics."""
        anomalies, app_id = (self.anomalies_topic, self.incidents_topic), f"{self.app_id}-"
        name = "app_id" if topic.startswith(app_id) else "clicks_topic"
        return PREFIX + ("anomalies_topic" if topic in anomalies else name).upper()

    @property
    def field_names(self) -> dict[str, str]:
        """What the fields of a click are called in the topic, by our names."""
        return {
            "user_id": self.field_user_id,
            "event": self.field_event,
            "timestamp": self.field_timestamp,
            "product_id": self.field_product_id,
        }

    @property
    def member(self) -> str:
        """This worker's name in the consumer group."""
        return self.worker_id or f"{socket.gethostname()}-{self.web_port}"

    @cached_property
    def ssl_context(self) -> ssl.SSLContext | None:
        """TLS towards Kafka, or None where the protocol has none."""
        return RenewedContext.of(self.certificates) if "SSL" in self.security_protocol else None

    @property
    def certificates(self) -> Files:
        """Whom to trust, and who we are."""
        return Files(self.ssl_cafile, self.ssl_certfile, self.ssl_keyfile)

    @cached_property
    def tokens(self) -> Tokens | None:
        """The tokens of OAUTHBEARER, or None where Kafka asks for none."""
        if not self._is_by_token:
            return None
        return Tokens(self.sasl_token_url, self.sasl_username, self.sasl_password.get_secret_value())

    @property
    def _is_by_token(self) -> bool:
        return self.security_protocol.startswith("SASL") and self.sasl_mechanism == "OAUTHBEARER"

    def client_options(self) -> dict[str, object]:
        """Bootstrap and security options of an aiokafka client."""
        options: dict[str, object] = {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.security_protocol,
            "ssl_context": self.ssl_context,
        }
        if self._is_by_token:
            options |= {"sasl_mechanism": self.sasl_mechanism, "sasl_oauth_token_provider": self.tokens}
        elif self.security_protocol.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password.get_secret_value(),
            }
        return options


def _check_format(pattern: str) -> None:
    moment = datetime(2026, 3, 10, 14, 20, tzinfo=UTC)
    try:
        datetime.strptime(moment.strftime(pattern), pattern)
        told = moment.strftime(pattern) != moment.replace(year=2025).strftime(pattern)
    except ValueError as error:
        raise ValueError(f"timestamp_format: {error}") from None
    if not told:
        raise ValueError("timestamp_format: it says no year; write it like %Y-%m-%d %H:%M:%S")


def _explain(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        message = problem["msg"].removeprefix("Value error, ")
        if problem["loc"]:
            name = str(problem["loc"][0])
            field = Settings.model_fields[name]
        else:  # a check across settings starts its message with the setting's name
            name, _, message = message.partition(": ")
            field = Settings.model_fields[name]
        value = os.environ.get(PREFIX + name.upper()) or dotenv_values(".env").get(PREFIX + name.upper())
        is_secret = field.annotation is SecretStr or not field.repr
        shown = "" if not value or is_secret else f"={_without_password(value)}"
        yield f"{PREFIX}{name.upper()}{shown}: {message} ({field.description})"


def _without_password(value: str) -> str:
    """Leave out what stands with a colon before an @, where an address has its user and password."""
    return re.sub(r"(?s)^(\w+://)?.*:.*@", r"\1…@", value)


def table() -> str:
    """The settings as the Markdown table of the README."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default.get_secret_value() if field.annotation is SecretStr else field.default
        shown = "" if default in ("", None) else f"`{default}`"
        meaning = (field.description or "").replace("|", r"\|")
        rows.append(f"| `{PREFIX}{name.upper()}` | {shown} | {meaning} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
