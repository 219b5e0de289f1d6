"""The rights that Kafka must give, and which of them are missing."""

import asyncio
import shlex
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from time import monotonic
from typing import Literal, NamedTuple, TypeAlias

from aiokafka import AIOKafkaClient
from aiokafka.client import CoordinationType
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    KafkaError,
    TransactionalIdAuthorizationFailed,
)

from clickwarden.errors import AccessError, BrokerError, ClickwardenError
from clickwarden.kafka import operations
from clickwarden.kafka.diagnosis import unreachable
from clickwarden.settings import PREFIX, Settings

#: How long Kafka may take to answer, and a coordinator to be found, seconds.
PATIENCE = 5.0
RETRY_SECONDS = 0.2
#: From a Kafka before 2.3, which cannot be asked what it allows.
UNTOLD = NotImplementedError, IncompatibleBrokerVersion
#: What Kafka says of which it tells less when it is asked.
UNASKED = {GroupAuthorizationFailedError: "group", TransactionalIdAuthorizationFailed: "transactional-id"}

Operation: TypeAlias = Literal["Create", "Describe", "Read", "Write"]
Kind: TypeAlias = Literal["topic", "group", "transactional-id"]


class Right(NamedTuple):
    """To do something with a topic, a group or a transactional id.

    Attributes:
        prefix: the right is to be given for all names that begin so.
    """

    operation: Operation
    kind: Kind
    name: str
    prefix: str = ""

    def __str__(self) -> str:
        """In words."""
        return f"{self.operation} on {self.kind} {self.name}"


async def check(settings: Settings, needed: Iterable[Right]) -> None:
    """See whether Kafka can be reached, and gives these rights. Topics that do not exist are left out.

    Raises:
        AccessError: it refuses who we say we are, or we it; or rights are missing, all of which are named.
        BrokerError: it does not answer.
    """
    needed = list(needed)
    try:
        async with _client(settings) as client:
            missing = await _missing_on_topics(client, [right for right in needed if right.kind == "topic"])
            others = [right for right in needed if right.kind != "topic"]
            missing += [right for right in others if not await _given(client, right)]
    except KafkaError as error:
        raise await unreachable(settings, error) from None
    if missing:
        raise denied(settings, missing)


async def explain(
    settings: Settings, needed: Iterable[Right], error: Exception, within: float | None = None
) -> ClickwardenError:
    """What to say where a client that needs these rights has failed with ``error``.

    Args:
        settings: where Kafka is.
        needed: by the client.
        error: its last.
        within: seconds to find out in; beyond them Kafka is taken for away.
    """
    try:
        async with asyncio.timeout(within):
            return await _explain(settings, needed, error)
    except TimeoutError:
        return BrokerError(f"{PREFIX}BROKER={settings.broker}: Kafka does not answer ({error})")


async def _explain(settings: Settings, needed: Iterable[Right], error: Exception) -> ClickwardenError:
    try:
        await check(settings, needed)
    except ClickwardenError as cause:
        return cause
    kind = UNASKED.get(type(error))
    if missing := [right for right in needed if right.kind == kind]:
        return denied(settings, missing)
    return await unreachable(settings, error)


def denied(settings: Settings, missing: Sequence[Right]) -> AccessError:
    """Kafka denies these rights."""
    principal = _principal(settings)
    return AccessError(
        f"Kafka denies {principal} {', '.join(map(str, missing))}; its administrator gives that with: "
        + " && ".join(_commands(settings, principal, missing))
    )


def _principal(settings: Settings) -> str:
    if settings.tokens is not None:
        return "User:SUBJECT-OF-THE-TOKEN"
    if settings.security_protocol.startswith("SASL"):
        return f"User:{settings.sasl_username}"
    if settings.security_protocol == "SSL" and settings.ssl_certfile is not None:
        return f"User:SUBJECT-OF-{settings.ssl_certfile}"
    return "User:ANONYMOUS"


def _commands(settings: Settings, principal: str, missing: Sequence[Right]) -> Iterable[str]:
    """Of Kafka's own tool, as few as there can be."""
    wanted: dict[tuple[str, str, str], list[str]] = {}
    for operation, kind, name, prefix in missing:
        wanted.setdefault((prefix, kind, prefix or name), []).append(operation)
    for (prefix, given), resources in groupby(
        sorted(wanted, key=lambda resource: (resource[0], wanted[resource])),
        key=lambda resource: (resource[0], wanted[resource]),
    ):
        words = ["kafka-acls.sh", "--bootstrap-server", settings.bootstrap, "--add"]
        words += ["--allow-principal", principal]
        words += [word for operation in given for word in ("--operation", operation)]
        words += ["--resource-pattern-type", "prefixed"] if prefix else []
        words += [word for _, kind, name in resources for word in (f"--{kind}", name)]
        yield shlex.join(words)


@asynccontextmanager
async def _client(settings: Settings) -> AsyncIterator[AIOKafkaClient]:
    client = AIOKafkaClient(**settings.client_options(), request_timeout_ms=int(PATIENCE * 1000))
    try:
        await client.bootstrap()
        yield client
    finally:
        await client.close()


async def _missing_on_topics(client: AIOKafkaClient, needed: list[Right]) -> list[Right]:
    try:
        allowed = await operations.on_topics(client, {right.name for right in needed})
    except UNTOLD:
        return []
    return [right for right in needed if right.name in allowed and right.operation not in allowed[right.name]]


async def _given(client: AIOKafkaClient, right: Right) -> bool:
    """Whether a right on a group or on a transactional id is given; yes, where no coordinator is found."""
    kind = CoordinationType.GROUP if right.kind == "group" else CoordinationType.TRANSACTION
    deadline = monotonic() + PATIENCE
    while True:
        try:
            coordinator = await client.coordinator_lookup(kind, right.name)
            if kind is CoordinationType.TRANSACTION:
                return True  # what Kafka tells of one is allowed to whom Write is
            return right.operation in await operations.on_group(client, coordinator, right.name)
        except UNTOLD:
            return True
        except (GroupAuthorizationFailedError, TransactionalIdAuthorizationFailed):
            return False
        except KafkaError:  # of a new cluster, they are about to be made
            if monotonic() > deadline:
                return True
            await client.force_metadata_update()
            await asyncio.sleep(RETRY_SECONDS)
