"""Who may go over thresholds: the allow-list, what those on it do, and its changes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from time import monotonic
from typing import NamedTuple

import msgspec
from aiohttp import web

from app.main import app
from clickwarden.alerts.feed import Place
from clickwarden.alerts.words import visible
from clickwarden.detection.allowlist import AllowList, Members, Term
from clickwarden.detection.amendment import Amendment, adding, removing, removing_for
from clickwarden.detection.members import (
    AllowanceError,
    network_of,
    prefix_of,
    reason_of,
    until_of,
    user_of,
)
from clickwarden.detection.rulebook import Change, Edition
from clickwarden.kafka.rulestopic import change_of
from clickwarden.times import epoch
from web import changes
from web.api import answer
from web.author import author
from web.live import feed
from web.paging import paged
from web.refusal import Refusal, asked

#: Users, prefixes and networks that are named of those who were allowed together.
NAMED = 100
#: For so long what they did stands for all who ask, seconds: to find it every known anomaly is looked at.
STANDS = 3.0

routes = web.RouteTableDef()


class Whom(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One user, or those whose ids begin so, or are addresses in a network: one of the three.

    Attributes:
        user: the exact id.
        prefix: what ids begin with.
        network: ``ADDRESS/BITS``, or an address.
    """

    user: str | msgspec.UnsetType = msgspec.UNSET
    prefix: str | msgspec.UnsetType = msgspec.UNSET
    network: str | msgspec.UnsetType = msgspec.UNSET


class AllowRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Who is to be allowed. Who is already gets the new reason and expiry.

    Attributes:
        entry: whom.
        reason: why, 1 to 200 characters; it stands in each anomaly.
        until: windows that begin then or later are not meant, ISO-8601; empty: for ever.
    """

    entry: Whom
    reason: str
    until: str = ""


class AllowedGroup(msgspec.Struct):
    """Who was allowed together, and what they did.

    Attributes:
        reason: why, in the words of who allowed them.
        until: windows that begin then or later are not meant, ISO-8601 UTC; None: for ever.
        expired: whether that is over, by Kafka's clock.
        change: ``number`` of the change that put them on the list, in ``/api/v1/rules/history``.
        who: made it.
        when: ISO-8601 UTC.
        total: users, prefixes and networks, as many as there are.
        users: ids; of all three the first 100 are named.
        prefixes: what ids begin with.
        networks: ``ADDRESS/BITS``.
        anomalies: of theirs that are known, told of to nobody; those of rules in shadow are left out.
        ongoing: of these, windows still open.
        people: users who have them.
        newest: the last of their windows, its first second, ISO-8601 UTC; None where there is none.
    """

    reason: str
    until: str | None
    expired: bool
    change: int
    who: str
    when: str
    total: int
    users: list[str]
    prefixes: list[str]
    networks: list[str]
    anomalies: int
    ongoing: int
    people: int
    newest: str | None


class AllowListed(msgspec.Struct):
    """The allow-list.

    Attributes:
        total: groups, on all pages.
        groups: those that were allowed last first; at most ``limit``.
        next: the ``cursor`` of the next page; None on the last.
        waiting: partitions that have not taken up the newest change yet.
        trouble: why changes would not be noticed now, in words; empty where they would.
    """

    total: int
    groups: list[AllowedGroup]
    next: str | None
    waiting: list[int]
    trouble: str


class Listed(NamedTuple):
    """Some who were allowed together."""

    term: Term
    members: Members

    @property
    def place(self) -> Place:
        """Where they stand."""
        return f"{self.term.since:012}", f"{self.term.until} {self.term.reason}"


class Deeds:
    """What is known of those who were allowed together.

    Attributes:
        ongoing: their anomalies whose window is open.
        people: how many anomalies each of them has.
        newest: the start of the last window; empty where there is none.
    """

    def __init__(self) -> None:
        self.ongoing = 0
        self.people: Counter[str] = Counter()
        self.newest = ""


class Register:
    """The list as it stands, and what those on it did: made at most so often, however many ask."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._number = -1
        self._listed: list[Listed] = []
        self._deeds: dict[Term, Deeds] = {}
        self._until = 0.0

    async def listed(self) -> list[Listed]:
        """All groups, the newest first."""
        async with self._lock:
            entries = app.rulestopic.book.allow_list
            if self._number != entries.number:
                number = entries.number
                found = await asyncio.to_thread(entries.listed)
                self._listed = sorted((Listed(*each) for each in found.items()), key=lambda each: each.place)
                self._listed.reverse()
                self._number, self._until = number, 0.0
            return self._listed

    async def deeds(self) -> dict[Term, Deeds]:
        """What they did, of those of whom anything is known."""
        async with self._lock:
            if monotonic() >= self._until:
                self._deeds = await _deeds(app.rulestopic.book.allow_list)
                self._until = monotonic() + STANDS
            return self._deeds


async def _deeds(entries: AllowList) -> dict[Term, Deeds]:
    found: dict[Term, Deeds] = {}
    if not entries.number:
        return found
    async for anomalies in feed.select(lambda entry: entry.kind == "allowed"):
        for each in anomalies:
            term = entries.term(entries.number, each.user_id, each.window_start)
            if term is not None:
                deeds = found.setdefault(term, Deeds())
                deeds.ongoing += each.ongoing
                deeds.people[each.user_id] += 1
                deeds.newest = max(deeds.newest, each.window_start)
    return found


register = Register()


@routes.get("/api/v1/allow")
async def allow_list(request: web.Request) -> web.Response:
    """Who is allowed, why, until when, and what they did, a page at a time."""

    async def found() -> AsyncIterator[list[Listed]]:
        yield await register.listed()

    page = await paged(request.query, found(), lambda each: each.place)
    deeds = await register.deeds() if page.shown else {}
    return answer(
        AllowListed(
            total=page.total,
            groups=[_group(each, deeds.get(each.term, Deeds())) for each in page.shown],
            next=page.next,
            waiting=changes.waiting(),
            trouble=app.rulestopic.trouble,
        )
    )


def _group(listed: Listed, deeds: Deeds) -> AllowedGroup:
    term, members = listed
    change = app.rulestopic.book.editions[term.since - 1].change
    names = NAMED
    shown = []
    for named in (members.users, members.prefixes, members.networks):
        shown.append(named[:names])
        names -= len(shown[-1])
    users, prefixes, networks = shown
    return AllowedGroup(
        reason=term.reason,
        until=term.until or None,
        expired=bool(term.until) and epoch(term.until) <= app.clock.now(),
        change=term.since,
        who=change.who,
        when=change.when,
        total=len(members.users) + len(members.prefixes) + len(members.networks),
        users=users,
        prefixes=prefixes,
        networks=networks,
        anomalies=deeds.people.total(),
        ongoing=deeds.ongoing,
        people=len(deeds.people),
        newest=deeds.newest or None,
    )


@routes.post("/api/v1/allow")
async def allow(request: web.Request) -> web.Response:
    """Allow somebody; in force at every worker within two seconds."""
    wanted = await asked(request, AllowRequest, "say whom (entry) and why (reason)")
    given = msgspec.to_builtins(wanted.entry)

    def added(entries: AllowList) -> Amendment | Term:
        reason = reason_of(wanted.reason)
        until = until_of(wanted.until, app.clock.now()) if wanted.until else ""
        return adding(entries, _whom(given), reason, until)

    return await _amended(request, added)


@routes.delete("/api/v1/allow")
async def disallow(request: web.Request) -> web.Response:
    """Allow somebody no more; in force at every worker within two seconds."""
    query = dict(request.query)
    if len(request.query) == 1 and "reason" in query:
        return await _amended(request, partial(removing_for, reason=query["reason"]))
    return await _amended(request, lambda entries: removing(entries, _whom(query)))


def _whom(given: Mapping[str, str]) -> Members:
    """One user, prefix or network.

    Raises:
        AllowanceError: it is none, or several.
    """
    match dict(given):
        case {"user": user, **others} if not others:
            return Members(users=[user_of(user)])
        case {"prefix": prefix, **others} if not others:
            return Members(prefixes=[prefix_of(prefix)])
        case {"network": network, **others} if not others:
            return Members(networks=[network_of(network)])
    raise AllowanceError("entry", "entry: say whom, in one way: user, prefix, or network")


async def _amended(request: web.Request, amended: Callable[[AllowList], Amendment | Term]) -> web.Response:
    """Make a change of the list."""
    book = app.rulestopic.book

    async def change() -> Change | Edition:
        await app.rulestopic.caught_up()
        if not book.number:
            raise Refusal(503, "the rules are not read yet: try again in a second")
        try:
            new = await asyncio.to_thread(amended, book.allow_list)
        except AllowanceError as error:
            status = 404 if request.method == "DELETE" and error.field != "entry" else 400
            raise Refusal(status, str(error), error.field) from None
        if isinstance(new, Term):
            return book.editions[new.since - 1]
        # The rules as they were written: also those that only a newer release can read.
        last = book.editions[-1].change
        return change_of(
            book,
            last.rules,
            last.disabled,
            what=visible(new.what),
            who=author.named(request.remote),
            why=new.allow[0].reason if new.allow else "",
            now=app.clock.now(),
            disallow=new.disallow,
            allow=new.allow,
        )

    try:
        edition = await author.write(change)
    finally:  # also who was second looks at once at what the first has done
        changes.encoded.forget()
    return answer(changes.status_of(edition, []))


app.web.web_app.add_routes(routes)
