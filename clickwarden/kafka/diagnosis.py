"""Why Kafka cannot be reached: found out by connecting once more, and looking.

aiokafka's clients log why they cannot connect, and raise that they cannot. Its
single connection raises the cause. Where a listener just hangs up, what it
speaks is seen by speaking something else.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest

from clickwarden.errors import AccessError, BrokerError, ClickwardenError, SettingsError
from clickwarden.settings import PREFIX, Settings
from clickwarden.tokens import TokenError

#: Who takes longer to answer is taken for away, seconds.
PATIENCE = 3.0
#: How long the end of a connection is waited for, seconds.
FAREWELL = 1.0
#: OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH.
OTHER_HOST = (62, 64)
#: OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED.
OTHER_TIME = (9, 10)
#: What fails where nobody, or somebody else, listens.
FAILURES = (OSError, KafkaError, TimeoutError)


class Address(NamedTuple):
    """Where a node of Kafka listens."""

    host: str
    port: int

    def __str__(self) -> str:
        """As Kafka writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


async def unreachable(settings: Settings, error: Exception) -> ClickwardenError:
    """What to say where a client of Kafka has failed with ``error``.

    Returns:
        An AccessError where a setting is wrong: trying again is of no use. Else a BrokerError.
    """
    bootstrap = {Address(host, port) for host, port, _ in collect_hosts(settings.bootstrap)}
    tried = await _try_all(settings, bootstrap)
    nodes = {node for found in tried if not isinstance(found, Exception) for node in found}
    if nodes:  # what one of the bootstrap servers says is enough; whom it names must be reached too
        tried = await _try_all(settings, nodes)
    causes = [found for found in tried if isinstance(found, Exception)]
    for cause in causes:
        if isinstance(cause, ClickwardenError):
            return cause
    where = " where it says that its nodes are (advertised.listeners)" if nodes and causes else ""
    return BrokerError(
        f"{PREFIX}BROKER={settings.broker}: Kafka does not answer{where} ({causes[0] if causes else error}); "
        "start one with 'faust -A app broker', or name yours"
    )


async def _try_all(settings: Settings, addresses: Collection[Address]) -> list[set[Address] | Exception]:
    return await asyncio.gather(*(_try(settings, address) for address in addresses))


async def _try(settings: Settings, address: Address) -> set[Address] | Exception:
    """The nodes that Kafka names there, or why it does not."""
    try:
        async with _connection(settings, address) as connection:
            response = await connection.send(MetadataRequest([]))
            # What Kafka says to a token that it refuses, aiokafka takes for such an answer.
            if not response.brokers:
                raise KafkaConnectionError("it names no node")
            return {Address(host, port) for _, host, port, *_ in response.brokers}
    except FAILURES as error:
        return await _cause(settings, address, error)


@asynccontextmanager
async def _connection(
    settings: Settings, address: Address, **other: object
) -> AsyncIterator[AIOKafkaConnection]:
    closed: list[AIOKafkaConnection] = []
    options = settings.client_options() | {"request_timeout_ms": int(PATIENCE * 1000)} | other
    del options["bootstrap_servers"]
    try:
        connection = await create_conn(
            *address, **options, on_close=lambda connection, _: closed.append(connection)
        )
        try:
            yield connection
        finally:
            connection.close()
    finally:
        # A refused one is closed, too, but TLS says farewell later, and a loop that ends before complains.
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await asyncio.gather(*(connection.close() for connection in closed))


async def _cause(settings: Settings, address: Address, error: Exception) -> Exception:
    """What is wrong in words, where that can be said; else the error."""
    refusal = next((each for each in _chain(error) if isinstance(each, ssl.SSLError)), None)
    if isinstance(refusal, ssl.SSLCertVerificationError):
        return _untrusted(settings, address, refusal)
    if refusal is not None and "_ALERT_" in (refusal.reason or ""):
        return _uncertified(settings, address, refusal)
    if isinstance(error, SaslAuthenticationFailed):
        return AccessError(
            f"{PREFIX}SASL_USERNAME={settings.sasl_username}: Kafka at {address} does not let this user in "
            f"({error}); set it and {PREFIX}SASL_PASSWORD to what Kafka knows"
        )
    if isinstance(error, TokenError):
        kind = AccessError if error.refused else BrokerError
        return kind(
            f"{PREFIX}SASL_TOKEN_URL={settings.sasl_token_url}: there is no token ({error}); set it to the "
            f"token endpoint, and {PREFIX}SASL_USERNAME and {PREFIX}SASL_PASSWORD to a client it knows"
        )
    listener = await _listener(settings, address)
    if isinstance(error, UnsupportedSaslMechanismError):
        offered = ", ".join(listener.mechanisms or ()) if listener else ""
        return AccessError(
            f"{PREFIX}SASL_MECHANISM={settings.sasl_mechanism}: Kafka at {address} does not offer it; "
            f"set one that it does: {offered or 'sasl.enabled.mechanisms of its listener'}"
        )
    if listener and settings.security_protocol not in listener.protocols:
        return AccessError(
            f"{PREFIX}SECURITY_PROTOCOL={settings.security_protocol}: Kafka at {address} does not speak it; "
            f"set {' or '.join(listener.protocols)}, or name another port in {PREFIX}BROKER"
        )
    away = any(isinstance(each, TimeoutError | ConnectionRefusedError) for each in _chain(error))
    # Kafka hangs up on whoever has a token that it refuses.
    if listener and settings.tokens is not None and not away:
        return AccessError(
            f"{PREFIX}SASL_TOKEN_URL={settings.sasl_token_url}: Kafka at {address} refuses its tokens "
            f"({error}); set it to the server whose tokens Kafka trusts"
        )
    return error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _untrusted(settings: Settings, address: Address, error: ssl.SSLCertVerificationError) -> AccessError:
    given = f"={settings.ssl_cafile}" if settings.ssl_cafile else ""
    if error.verify_code in OTHER_HOST:
        return AccessError(
            f"{PREFIX}BROKER={settings.broker}: the certificate of Kafka at {address} is another host's "
            f"({error.verify_message}); name a host that it is for, or have one issued for this host"
        )
    if error.verify_code in OTHER_TIME:
        return AccessError(
            f"{PREFIX}SSL_CAFILE{given}: of what certifies Kafka at {address}, {error.verify_message}; renew "
            "Kafka's certificate or the authority's in this file, or set this machine's clock"
        )
    return AccessError(
        f"{PREFIX}SSL_CAFILE{given}: no authority {'in it' if given else 'of this machine'} certifies Kafka "
        f"at {address} ({error.verify_message}); set it to that of the authority that signed Kafka's"
    )


def _uncertified(settings: Settings, address: Address, error: ssl.SSLError) -> AccessError:
    if settings.ssl_certfile is None:
        return AccessError(
            f"{PREFIX}SSL_CERTFILE: Kafka at {address} asks for a client's certificate ({error.reason}); "
            f"set it, and {PREFIX}SSL_KEYFILE"
        )
    return AccessError(
        f"{PREFIX}SSL_CERTFILE={settings.ssl_certfile}: Kafka at {address} refuses the certificate "
        f"({error.reason}); set one that has not expired, of an authority that Kafka trusts"
    )


class _Listener(NamedTuple):
    """What a listener speaks; its SASL mechanisms are none where it has no SASL, None if it did not say."""

    encrypts: bool
    mechanisms: tuple[str, ...] | None

    @property
    def protocols(self) -> tuple[str, ...]:
        """The security protocols it may be of."""
        plain, sasl = ("SSL", "SASL_SSL") if self.encrypts else ("PLAINTEXT", "SASL_PLAINTEXT")
        if self.mechanisms is None:
            return plain, sasl
        return (sasl,) if self.mechanisms else (plain,)


async def _listener(settings: Settings, address: Address) -> _Listener | None:
    """What listens there; None if it is no Kafka that can be understood."""
    try:
        context = settings.certificates.context()
    except SettingsError:  # they are just being renewed
        return None
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(*FAILURES):
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(*address, ssl=context)
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
        mechanisms = None
        with suppress(*FAILURES):
            mechanisms = await _mechanisms(settings, address, "SSL", context)
        return _Listener(True, mechanisms)
    with suppress(*FAILURES):
        return _Listener(False, await _mechanisms(settings, address, "PLAINTEXT", None))
    return None


async def _mechanisms(
    settings: Settings, address: Address, protocol: str, context: ssl.SSLContext | None
) -> tuple[str, ...]:
    """The SASL mechanisms that the listener offers."""
    other = {"security_protocol": protocol, "ssl_context": context}
    async with _connection(settings, address, **other) as connection:
        response = await connection.send(SaslHandShakeRequest(settings.sasl_mechanism))
        if response.error_code == IllegalSaslStateError.errno:
            return ()
        return tuple(response.enabled_mechanisms)
