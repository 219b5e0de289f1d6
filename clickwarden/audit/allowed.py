"""Whom the allow-list had, by which list each anomaly must have been told, and so what it must say of it."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

from clickwarden.audit.reading import AuditRecord

_CHANGE = re.compile(rb"change/\d+/[0-9a-f]+")
#: A user as an address, or a network of addresses.
Address = IPv4Network | IPv6Network
#: Of a user, a prefix or a network: since which change, why, and until when, epoch seconds.
_Term = tuple[int, str, float]
#: A shorter silence says nothing to a worker; and how much longer one may have been to it than Kafka's clock
#: says, seconds.
QUIET_SECONDS, SLACK_SECONDS = 0.25, 1.0


class Lists:
    """The allow-lists of all changes of the rules topic.

    Args:
        records: of it, in their order.
    """

    def __init__(self, records: Iterable[AuditRecord] = ()) -> None:
        self._terms: dict[tuple[str, Any], list[_Term]] = {}
        self._number = 0
        for record in records:
            if record.value and _CHANGE.fullmatch(record.key or b""):
                self._take(record.value)

    def _take(self, value: bytes) -> None:
        try:
            change = json.loads(value)
            if change["number"] != self._number + 1:
                return  # the second of two at once
            self._number += 1
            steps = [(each, "", math.inf) for each in change.get("disallow", [])]
            steps += [(each, each["reason"], _until(each)) for each in change.get("allow", [])]
            named = [(list(_names(each)), reason, until) for each, reason, until in steps]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return  # no change, or one of a newer release: left out by the workers, too
        for names, reason, until in named:
            for name in names:
                self._terms.setdefault(name, []).append((self._number, reason, until))

    def reason(self, number: int, user: str, start: int) -> str:
        """Why a user was allowed in a window that began then, by the list as that change had made it."""
        for name in self._names_of(user):
            held = [term for term in self._terms.get(name, ()) if term[0] <= number]
            if held and held[-1][1] and start < held[-1][2]:
                return held[-1][1]
        return ""

    def _names_of(self, user: str) -> Iterator[tuple[str, Any]]:
        """What of the list may mean a user, the closest first."""
        if not self._terms:
            return
        yield "user", user
        for length in range(len(user), 0, -1):
            yield "prefix", user[:length]
        address = _address(user)
        while address is not None and address.prefixlen:
            yield "network", address
            address = address.supernet()


def _names(members: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from (("user", user) for user in members.get("users", []))
    yield from (("prefix", prefix) for prefix in members.get("prefixes", []))
    yield from (
        ("network", _plain(ip_network(network, strict=False))) for network in members.get("networks", [])
    )


def _until(allowance: dict[str, Any]) -> float:
    until = allowance.get("until", "")
    return datetime.fromisoformat(until).timestamp() if until else math.inf


def _address(user: str) -> Address | None:
    try:
        if "/" not in user:
            address = ip_address(user)
            whole = IPv4Network if address.version == 4 else IPv6Network
            return _plain(whole(int(address)))
        found = re.fullmatch(r"([^/]*)/([0-9]{1,3})", user)
        return _plain(ip_network(user, strict=False)) if found else None
    except ValueError:
        return None


def _plain(network: Address) -> Address:
    """The network; as one of IPv4 where it holds nothing but mapped addresses of it."""
    if isinstance(network, IPv6Network) and network.prefixlen > 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - 96))
    return network


class _Mark(NamedTuple):
    """A point in a partition, before one of its records.

    Attributes:
        number: of the list in force from here on.
        before: of the one before.
        newest: event time had got so far.
        watermark: of it.
        crossings: so many users had gone over a threshold, once a window.
        silent: for so long nothing had come, seconds.
    """

    number: int
    before: int
    newest: float
    watermark: float
    crossings: int
    silent: float


class Standing:
    """By which lists what is told of a partition may have been told.

    Whoever goes over a threshold, or whose window the clicks close, is told of
    by the list in force at that very click. The wall clock closes windows
    in a silence of the partition, and nobody but the worker knows when in it;
    if the list became another then, either may have been in force.

    Args:
        told: offsets, ascending, and the change that made the list in force from there on.
        lateness: seconds that the watermark is behind.
        idle_timeout: seconds of silence after which wall clock closes windows.
    """

    def __init__(self, told: Sequence[tuple[int, int]], lateness: float, idle_timeout: float) -> None:
        self._ahead = list(told)
        self._lateness = lateness
        self._idle_timeout = idle_timeout
        self._number = self._ahead[0][1] if self._ahead else 0
        self._last = [number for _, number in self._ahead]
        self._marks: list[_Mark] = []
        self._stamp = math.inf

    def reach(self, record: AuditRecord, newest: float, watermark: float, crossings: int) -> None:
        """Go on to the next record of the partition, of which it has got so far."""
        if not self._last:
            return
        before = self._number
        while self._ahead and self._ahead[0][0] <= record.offset:
            self._number = self._ahead.pop(0)[1]
        is_known = record.timestamp_type == 1
        silent = record.timestamp / 1000.0 - self._stamp if is_known else math.inf
        self._stamp = record.timestamp / 1000.0
        if before != self._number or (is_known and silent > QUIET_SECONDS):
            self._marks.append(_Mark(self._number, before, newest, watermark, crossings, silent))

    def ongoing(self, start: int, crossed: int | None, *, exact: bool) -> set[int]:
        """The lists that somebody may have gone over the threshold by.

        Args:
            start: of the window.
            crossed: the number of this, among all crossings; None: it was by an estimate.
            exact: whether it was at the click that it was at by the exact count; else it may have been at
                any before of the window.
        """
        numbers = self._first()
        for mark in self._marks:
            if crossed is not None and mark.crossings > crossed:
                break
            if exact or mark.newest < start:
                numbers.clear()
            numbers.add(mark.number)
        return numbers

    def further(self, end: int, crossed: int | None) -> set[int]:
        """The lists that somebody may have come to a further step by, in a window that ends then."""
        numbers = self._first()
        for mark in self._marks:
            if mark.watermark >= end:
                break
            if crossed is not None and mark.crossings <= crossed:
                numbers.clear()
            numbers.add(mark.number)
        return numbers

    def closed(self, end: int, crossed: int | None) -> set[int]:
        """The lists that a window which ends then may have been closed by."""
        numbers = self._first()
        by_silence: set[int] = set()
        for mark in self._marks:
            if mark.watermark >= end:
                return numbers | by_silence
            numbers = {mark.number}
            is_over = crossed is None or mark.crossings > crossed
            if is_over and end <= mark.newest + self._passed(mark.silent) - self._lateness:
                by_silence |= {mark.before, mark.number}
        return numbers | by_silence | self._pending()

    def corrected(self, end: int) -> set[int]:
        """The lists that a correction of a window which ends then may have been told by."""
        closed = [mark.watermark >= end for mark in self._marks]
        since = closed.index(True) if True in closed else len(closed)
        first = self._marks[since - 1].number if since else next(iter(self._first()), 0)
        return {first, *(mark.number for mark in self._marks[since:])} | self._pending()

    def _passed(self, silent: float) -> float:
        """Seconds that event time may have gone on by in a silence: none before it was one to the worker."""
        longest = silent + SLACK_SECONDS
        return longest if longest >= self._idle_timeout else 0.0

    def _first(self) -> set[int]:
        """The list at the beginning."""
        return {self._last[0]} if self._last else {0}

    def _pending(self) -> set[int]:
        """The lists behind the last record."""
        return {self._number, *(number for _, number in self._ahead)}
