"""What people write to say whom they allow, why, and for how long."""

import math
import re
from ipaddress import IPv6Network, ip_network

from clickwarden.errors import SettingsError
from clickwarden.times import epoch, isotime

#: A user's id, and so what one begins with, has no more characters.
LONGEST = 256
#: Nor has a reason, which stands in each anomaly.
LONGEST_REASON = 200

#: How a moment is written that is none.
_MOMENT = "write it as 2026-12-31T15:00:00Z"

_SPAN = re.compile(r"([0-9]{1,6})\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


class AllowanceError(SettingsError):
    """Somebody cannot be allowed so, or is not.

    Attributes:
        field: what of it is wrong: ``user``, ``prefix``, ``network``, ``reason``, ``until`` or ``for``.
    """

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


def user_of(text: str) -> str:
    """A user's id.

    Raises:
        AllowanceError: no click has such a one.
    """
    if not 1 <= len(text) <= LONGEST:
        raise AllowanceError("user", f"a user's id has 1 to {LONGEST} characters, and this one {len(text)}")
    return text


def prefix_of(text: str) -> str:
    """What ids begin with.

    Raises:
        AllowanceError: every one does, or none; or it is a pattern.
    """
    if not 1 <= len(text) <= LONGEST:
        raise AllowanceError(
            "prefix",
            f"prefix {text[:20]!r}: give the 1 to {LONGEST} characters that the ids begin with; with none, "
            "everybody would be allowed",
        )
    if text.endswith("*"):
        raise AllowanceError(
            "prefix", f"prefix {text!r}: is no pattern; leave the * out: {text.rstrip('*')!r}"
        )
    return text


def network_of(text: str) -> str:
    """A network as it stands on the allow-list; an address is one of itself.

    >>> network_of("203.0.113.7"), network_of("2001:DB8::/32"), network_of("::ffff:203.0.113.0/120")
    ('203.0.113.7/32', '2001:db8::/32', '203.0.113.0/24')

    Raises:
        AllowanceError: it is none, or holds every address.
    """
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise AllowanceError(
            "network", f"{text!r} is no network; write it as 203.0.113.0/24, 2001:db8::/32, or an address"
        ) from None
    address = text.partition("/")[0]
    if str(network.network_address) != str(ip_network(address).network_address):
        raise AllowanceError(
            "network",
            f"{text!r} is an address within a network: write {network} for the network, or {address} for the "
            "address",
        )
    if isinstance(network, IPv6Network) and (mapped := network.network_address.ipv4_mapped):
        network = ip_network(f"{mapped}/{max(0, network.prefixlen - 96)}")
    if not network.prefixlen:
        raise AllowanceError(
            "network", f"{text!r} holds every address, and nobody who has one would be told of"
        )
    return str(network)


def reason_of(text: str | None) -> str:
    """Why somebody is allowed.

    Raises:
        AllowanceError: it is missing, or longer than a line.
    """
    reason = " ".join((text or "").split())
    if not 1 <= len(reason) <= LONGEST_REASON:
        raise AllowanceError(
            "reason",
            f"reason: has {len(reason)} characters; say why in 1 to {LONGEST_REASON}, for it stands in each "
            "anomaly",
        )
    return reason


def until_of(text: str, now: float) -> str:
    """When an entry expires, ISO-8601 UTC in whole seconds.

    Args:
        text: the moment, ISO-8601; UTC where it names no zone.
        now: epoch seconds.

    >>> until_of("2026-12-01", 0), until_of("2015-05-18T08:05:00.2+01:00", 0)
    ('2026-12-01T00:00:00Z', '2015-05-18T07:05:01Z')

    Raises:
        AllowanceError: it is none, or is over.
    """
    try:
        seconds = math.ceil(epoch(text))
        moment = isotime(seconds)
    except (ValueError, OverflowError):
        raise AllowanceError("until", f"until: {text!r} is no time; {_MOMENT}") from None
    if seconds <= now:
        raise AllowanceError(
            "until", f"until: {text!r} is over; give a time to come, or leave it out for ever"
        )
    return moment


def until_after(span: str, now: float) -> str:
    """When an entry expires that holds for so long.

    Args:
        span: how long, as ``30d``.
        now: epoch seconds.

    >>> until_after("90m", 1431936300)
    '2015-05-18T09:35:00Z'

    Raises:
        AllowanceError: it is no span of time.
    """
    matched = _SPAN.fullmatch(span)
    try:
        if not matched or not int(matched[1]):
            raise ValueError
        return isotime(math.ceil(now) + int(matched[1]) * _SECONDS[matched[2]])
    except (ValueError, OverflowError):
        raise AllowanceError("for", f"for: {span!r} is no time; write 30d (or s, m, h, w)") from None
