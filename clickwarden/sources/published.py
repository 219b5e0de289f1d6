"""The networks that an operator of good crawlers publishes.

Google, Bing and others publish them as JSON: ``{"prefixes": [{"ipv4Prefix": …}, {"ipv6Prefix": …}]}``.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp

from clickwarden.detection.members import network_of
from clickwarden.errors import SettingsError
from clickwarden.unanswered import why

#: A larger file is another: of the operators' own, the largest is some hundred KB.
MOST_BYTES = 8 * 1024 * 1024
#: A server that has not answered by then does not, seconds.
PATIENCE_SECONDS = 30.0

_KINDS = ("ipv4Prefix", "ipv6Prefix")


async def published(source: str) -> list[str]:
    """The networks that a file, or what is found at an address, holds, in order and each once.

    Args:
        source: name of the file, or a URL.

    Raises:
        SettingsError: it cannot be read, is none of the kind, or holds no network.
    """
    is_url = source.startswith(("https://", "http://"))
    return parse(await _fetched(source) if is_url else await asyncio.to_thread(_read, source), source)


def parse(content: bytes, name: str) -> list[str]:
    """The networks of a file, of that name.

    Raises:
        SettingsError: as :func:`published`.
    """
    if len(content) > MOST_BYTES:
        raise SettingsError(f"{name}: has more than {MOST_BYTES:,} bytes; is it another file?")
    try:
        entries = json.loads(content)["prefixes"]
        given = [_prefix(entry) for entry in entries]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise SettingsError(
            f'{name}: is no list of networks as operators publish it: {{"prefixes": [{{"ipv4Prefix": '
            '"203.0.113.0/24"}, {"ipv6Prefix": "2001:db8::/32"}]}'
        ) from None
    networks = []
    for number, prefix in enumerate(given, 1):
        try:
            networks.append(network_of(prefix))
        except SettingsError as error:
            raise SettingsError(f"{name}: prefix {number}: {error}; nothing is changed") from None
    if not networks:
        raise SettingsError(f"{name}: holds no network; nothing is changed")
    return list(dict.fromkeys(networks))


def _prefix(entry: Any) -> str:
    (prefix,) = (entry[kind] for kind in _KINDS if kind in entry)
    if not isinstance(prefix, str):
        raise TypeError(prefix)
    return prefix


def _read(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{name}: cannot be read ({error.strerror}); name a file, or a URL") from None


async def _fetched(url: str) -> bytes:
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True, raise_for_status=True) as session,
            session.get(url) as answer,
        ):
            content = b""
            async for part in answer.content.iter_any():
                content += part
                if len(content) > MOST_BYTES:
                    break
            return content
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise SettingsError(
            f"{url}: cannot be fetched ({why(error)}); try again, or save it and name the file"
        ) from None
