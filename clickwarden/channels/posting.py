"""JSON to a server over HTTP, and what its answer means."""

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NoReturn

import aiohttp

from clickwarden.channels.channel import PATIENCE, WAIT_MOST, Channel
from clickwarden.errors import ChannelError
from clickwarden.unanswered import why

#: Read of an answer; the rest is of no use to anybody.
ANSWER_BYTES = 1024
#: Answers after which to try again is of use, beside those of a server that has failed.
LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
#: Answers of a server in between, who does not know what the one behind it did.
UNKNOWN = (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)


async def post(channel: Channel, url: str, body: bytes, headers: Mapping[str, str]) -> str:
    """What the server says that took the body.

    A redirect is not followed: whoever answers with one would choose who gets to see what proves who we are.

    Raises:
        ChannelError: it did not take it.
    """
    given = {"Content-Type": "application/json", "Accept-Encoding": "identity", **headers}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE), trust_env=True) as session,
            session.post(
                url, data=body, headers=given, allow_redirects=False, auto_decompress=False
            ) as response,
        ):
            answer = await _beginning(response)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        unreachable(channel, error)
    said = channel.inert(f"{response.status} {response.reason} {answer.decode(errors='replace')}")
    if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
        return said
    raise ChannelError(
        said + cure(response.status),
        again=again(response.status, response.headers),
        perhaps=response.status in UNKNOWN,
    )


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """Of an answer; what was decided stands, whatever becomes of the words."""
    try:
        return await response.content.read(ANSWER_BYTES)
    except (aiohttp.ClientError, OSError, TimeoutError):
        return b""


def unreachable(channel: Channel, error: Exception, *, perhaps: bool = True) -> NoReturn:
    """Say that nobody answered, or that what was answered was not understood.

    Args:
        channel: the one.
        error: what happened.
        perhaps: whether the other side may have the message, where the error does not say that it has not.

    Raises:
        ChannelError: always.
    """
    words = why(error)
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError)):
        words += " (SSL_CERT_FILE names the certificates to trust)"
    if isinstance(error, (aiohttp.ClientConnectorError, ConnectionRefusedError, ssl.SSLError)):
        perhaps = False
    raise ChannelError(channel.inert(words), again=0, perhaps=perhaps) from None


def again(status: int, headers: Mapping[str, str]) -> float | None:
    """After how many seconds to try again, by an answer of HTTP; None: never.

    >>> again(503, {}), again(429, {"Retry-After": "30"}), again(404, {"Retry-After": "30"})
    (0.0, 30.0, None)
    """
    if status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in LATER:
        return None
    asked = headers.get("Retry-After", "")
    try:
        seconds = float(asked) if asked[:1].isdigit() else _until(asked)
    except (ValueError, TypeError):
        return 0.0
    return min(max(0.0, seconds), WAIT_MOST)


def _until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def cure(status: int) -> str:
    """What may be done about an answer of HTTP, to stand behind it."""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return "; is the secret the right one?"
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return "; is the path of the url the right one?"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return "; a redirect is not followed, write where it leads as the url"
    return ""
