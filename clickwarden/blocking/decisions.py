"""Blocks as CrowdSec's local API tells of them, which its bouncers poll.

https://crowdsecurity.github.io/api_doc/lapi/
"""

import ipaddress
from collections.abc import Iterable, Mapping

import msgspec
import xxhash

from clickwarden.blocking.address import Network, network_of
from clickwarden.blocking.block import Block

ORIGIN = "clickwarden"
#: What bouncers are told of that do not say what they want.
SCOPES = ("ip", "range")


class Decision(msgspec.Struct, frozen=True):
    """What is to be done to whom.

    Attributes:
        id: a number for scope and value.
        origin: ``clickwarden``.
        type: ``ban``.
        scope: ``Ip``, ``Range``, or ``Username``: a user's id, an attacker's text.
        value: what the scope says.
        duration: from now on, as Go writes it; of one that is over, less than nothing.
        scenario: for what.
    """

    id: int
    origin: str
    type: str
    scope: str
    value: str
    duration: str
    scenario: str


class Decisions(msgspec.Struct):
    """What has changed since the bouncer asked last.

    Attributes:
        new: to be enforced from now on.
        deleted: no more.
    """

    new: list[Decision]
    deleted: list[Decision]


def decision_of(block: Block, now: float) -> Decision:
    """The decision that a block is at ``now``, epoch seconds."""
    scope, value, _ = block.target
    # JavaScript, and so somebody's dashboard, counts no further.
    number = xxhash.xxh3_64_intdigest(f"{scope}:{value}".encode(errors="surrogatepass")) >> 11
    scenario = f"clickwarden/{block.offence.rule}"
    return Decision(number, ORIGIN, "ban", scope, value, duration(block.until - now), scenario)


def duration(seconds: float) -> str:
    """A duration as Go writes and reads it, always with a fraction, which CrowdSec's PHP bouncers need.

    >>> duration(14_399.5), duration(59.0), duration(-3_601.25)
    ('3h59m59.500s', '0h0m59.000s', '-1h0m1.250s')
    """
    thousandths = round(abs(seconds) * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{'-' if seconds < 0 else ''}{minutes // 60}h{minutes % 60}m{rest // 1000}.{rest % 1000:03}s"


class Wanted:
    """Which decisions a request is about, by its query.

    Raises:
        ValueError: it asks for an address that is none.
    """

    def __init__(self, query: Mapping[str, str], scopes: Iterable[str] | None) -> None:
        named = query.get("scopes") or query.get("scope")
        self._scopes = {each.strip().lower() for each in named.split(",")} if named else scopes
        self._value = query.get("value")
        self._type = query.get("type", "ban")
        self._origins = query.get("origins")
        self._words = _words(query, "scenarios_containing")
        self._others = _words(query, "scenarios_not_containing")
        self._contains = query.get("contains", "true") != "false"
        asked = query.get("ip") or query.get("range")
        self._network = network_of(asked) if asked else None
        if asked and self._network is None:
            raise ValueError(f"{asked!r} is no address and no range of addresses")

    def __call__(self, block: Block) -> bool:
        """Whether it is about this block."""
        target, scenario = block.target, f"clickwarden/{block.offence.rule}"
        return (
            (self._scopes is None or target.scope.lower() in self._scopes)
            and (self._value is None or target.value == self._value)
            and self._type.lower() == "ban"
            and (self._origins is None or ORIGIN in self._origins.split(","))
            and (not self._words or any(word in scenario for word in self._words))
            and not any(word in scenario for word in self._others)
            and (self._network is None or _meets(self._network, target.network, self._contains))
        )


def _words(query: Mapping[str, str], name: str) -> list[str]:
    return [word for word in query.get(name, "").split(",") if word]


def _meets(asked: Network, blocked: Network | None, contains: bool) -> bool:
    """Whether what is asked for is in what is blocked, or where that is not wanted, the other way round."""
    if blocked is None:
        return False
    inner, outer = (asked, blocked) if contains else (blocked, asked)
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False
