"""What people write to say whom they allow, and for how long."""

import math
import re
from datetime import UTC, datetime
from ipaddress import IPv6Network, ip_network

from clickwarden.errors import SettingsError
from clickwarden.times import isotime

#: A user's id, and so what one begins with, has no more characters.
LONGEST = 256
#: Nor has a reason, which stands in each anomaly.
LONGEST_REASON = 200

_SPAN = re.compile(r"([0-9]{1,6})\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def user_of(text: str) -> str:
    """A user's id.

    Raises:
        SettingsError: no click has such a one.
    """
    if not 1 <= len(text) <= LONGEST:
        raise SettingsError(f"a user's id has 1 to {LONGEST} characters, and this one {len(text)}")
    return text


def prefix_of(text: str) -> str:
    """What ids begin with.

    Raises:
        SettingsError: every one does, or none; or it is a pattern.
    """
    if not 1 <= len(text) <= LONGEST:
        raise SettingsError(
            f"--prefix {text[:20]!r}: give the 1 to {LONGEST} characters that the ids begin with; with none, "
            "everybody would be allowed"
        )
    if text.endswith("*"):
        raise SettingsError(f"--prefix {text!r}: is no pattern; leave the * out: --prefix {text.rstrip('*')}")
    return text


def network_of(text: str) -> str:
    """A network as it stands on the allow-list; an address is one of itself.

    >>> network_of("203.0.113.7"), network_of("2001:DB8::/32"), network_of("::ffff:203.0.113.0/120")
    ('203.0.113.7/32', '2001:db8::/32', '203.0.113.0/24')

    Raises:
        SettingsError: it is none, or holds every address.
    """
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise SettingsError(
            f"{text!r} is no network; write it as 203.0.113.0/24, 2001:db8::/32, or an address"
        ) from None
    address = text.partition("/")[0]
    if str(network.network_address) != str(ip_network(address).network_address):
        raise SettingsError(
            f"{text!r} is an address within a network: write {network} for the network, or {address} for the "
            "address"
        )
    if isinstance(network, IPv6Network) and (mapped := network.network_address.ipv4_mapped):
        network = ip_network(f"{mapped}/{max(0, network.prefixlen - 96)}")
    if not network.prefixlen:
        raise SettingsError(f"{text!r} holds every address, and nobody who has one would be told of")
    return str(network)


def reason_of(text: str | None) -> str:
    """Why somebody is allowed.

    Raises:
        SettingsError: it is missing, or longer than a line.
    """
    reason = " ".join((text or "").split())
    if not 1 <= len(reason) <= LONGEST_REASON:
        raise SettingsError(
            f"say why in 1 to {LONGEST_REASON} characters, for it stands in each anomaly: --reason WORDS"
        )
    return reason


def until_of(until: str | None, span: str | None, now: float) -> str:
    """When an entry expires, ISO-8601 UTC in whole seconds; empty: never.

    Args:
        until: the moment, ISO-8601; UTC where it names no zone.
        span: how long from ``now`` on, as ``30d``.
        now: epoch seconds.

    >>> until_of("2026-12-01", None, 0), until_of(None, "90m", 1431936300), until_of(None, None, 0)
    ('2026-12-01T00:00:00Z', '2015-05-18T09:35:00Z', '')

    Raises:
        SettingsError: one is none, or is over, or both are given.
    """
    if until and span:
        raise SettingsError("--until and --for both say when it expires; give one of them")
    try:
        if span:
            matched = _SPAN.fullmatch(span)
            if not matched or not int(matched[1]):
                raise ValueError
            return isotime(math.ceil(now) + int(matched[1]) * _SECONDS[matched[2]])
        if not until:
            return ""
        moment = datetime.fromisoformat(until)
        moment = moment.replace(tzinfo=moment.tzinfo or UTC)
        seconds = math.ceil(moment.timestamp())
    except (ValueError, OverflowError):
        given = f"--for {span}" if span else f"--until {until}"
        raise SettingsError(
            f"{given}: is no time; write --for 30d (or s, m, h, w), or --until 2026-12-31T15:00:00Z"
        ) from None
    if seconds <= now:
        raise SettingsError(f"--until {until}: is over; give a time to come, or leave it out for ever")
    return isotime(seconds)
