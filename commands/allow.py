"""``faust -A app allow``: who may go over thresholds, and tells nobody by it."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from time import time

import click
from faust.cli import argument, option
from rich.console import Console

from app.main import settings
from clickwarden.alerts.words import plural, visible
from clickwarden.detection.allowlist import Allowance, Members, Term
from clickwarden.detection.members import network_of, prefix_of, reason_of, until_of, user_of
from clickwarden.errors import SettingsError
from clickwarden.kafka.rulestopic import RulesTopic, change_of
from clickwarden.sources.published import published
from clickwarden.times import epoch
from commands.changing import make, who
from commands.command import AsyncCommand
from commands.terminal import whole_table

#: Users, prefixes and networks on the list, all together.
MOST = 200_000
#: Of those that were allowed together, so many are named.
NAMED = 3

console = Console(highlight=False, markup=False, soft_wrap=True)


class Allow(AsyncCommand):
    """Say who may go over thresholds: monitors, tests under load, known crawlers.

    What an allowed user does is found, recorded and shown apart, with the
    reason, and tells nobody.

    add [USER] --reason WORDS: allow a user, by the exact id; or those
    whose ids begin with --prefix, or are addresses in a --network, or in the
    --networks of a file or a URL, which replace those allowed before for that
    reason. Who is on the list already gets the new reason and expiry.

    remove [USER]: take off what was added so; or all with that --reason.

    list: who is on it, why, until when, and who added that.

    The list is in Kafka, in the topic <app id>-rules, and so 'rules history'
    shows its changes. Workers take a change up within 2 s, for what they find
    from then on. An entry expires by the time of the clicks: it means windows
    that begin before.

    Exit code: 0 it was done; 1 it was not, and nothing is changed.
    """

    options = [  # noqa: RUF012
        argument("action", type=click.Choice(["add", "remove", "list"])),
        argument("user", required=False, metavar="[USER]"),
        option("--prefix", metavar="TEXT", help="All whose ids begin so."),
        option("--network", metavar="CIDR", help="All whose ids are addresses in it: 203.0.113.0/24."),
        option("--networks", metavar="FILE|URL", help='The networks of a JSON file: {"prefixes": […]}.'),
        option("--reason", metavar="WORDS", help="Why; stands in the anomalies."),
        option("--until", metavar="TIME", help="When it expires, ISO-8601 (left out: never)."),
        option("--for", "span", metavar="TIME", help="The same, from now on: 30d, 12h, 90m."),
    ]

    async def run(
        self,
        action: str,
        user: str | None,
        prefix: str | None,
        network: str | None,
        networks: str | None,
        reason: str | None,
        until: str | None,
        span: str | None,
    ) -> None:
        """Do what is asked for."""
        topic = RulesTopic(settings)
        await topic.read()
        if action == "list":
            _list(topic)
            return
        if not topic.book.number:
            raise SettingsError("there are no rules yet to go over; start a worker first")
        asked = {"USER": user, "--prefix": prefix, "--network": network, "--networks": networks}
        given = [name for name, value in asked.items() if value is not None]
        if action == "remove":
            if networks or until or span or len([*given, *([reason] if reason else [])]) != 1:
                raise SettingsError(
                    "remove: say whom, in one way: USER, --prefix, --network, or all with a --reason"
                )
            await _remove(topic, _members(user, prefix, network), reason)
            return
        if len(given) != 1:
            raise SettingsError("add: say whom, in one way: USER, --prefix, --network, or --networks")
        why, expiry = reason_of(reason), until_of(until, span, time())
        if networks is not None:
            await _replace(topic, await published(networks), networks, why, expiry)
        else:
            await _add(topic, _members(user, prefix, network), why, expiry)


def _members(user: str | None, prefix: str | None, network: str | None) -> Members:
    return Members(
        users=[user_of(user)] if user is not None else [],
        prefixes=[prefix_of(prefix)] if prefix is not None else [],
        networks=[network_of(network)] if network is not None else [],
    )


async def _add(topic: RulesTopic, members: Members, reason: str, until: str) -> None:
    known = dict(_names(topic))
    (name,) = _each(members)
    if name in known and known[name][1:] == (reason, until):
        console.print(f"{visible(name)} is on the list already, for that reason")
        return
    await _change(topic, f"allow {name}{_expiry(until)}", reason, [], [_allowance(members, reason, until)])


async def _replace(topic: RulesTopic, networks: list[str], source: str, reason: str, until: str) -> None:
    known = dict(_names(topic))
    before = {name for name, term in known.items() if term.reason == reason and name.startswith("network ")}
    gone = sorted(name.removeprefix("network ") for name in before - {f"network {each}" for each in networks})
    fresh = [each for each in networks if known.get(f"network {each}", ("", "", ""))[1:] != (reason, until)]
    if not gone and not fresh:
        console.print(f"{source}: its {plural(len(networks), 'network')} are on the list already")
        return
    what = f"allow the {plural(len(networks), 'network')} of {source}{_expiry(until)}: "
    what += f"{len(fresh):,} new or changed, {len(gone):,} gone"
    allowance = [_allowance(Members(networks=fresh), reason, until)] if fresh else []
    await _change(topic, what, reason, [Members(networks=gone)] if gone else [], allowance)


async def _remove(topic: RulesTopic, members: Members, reason: str | None) -> None:
    listed = topic.book.allow_list.listed()
    if reason is not None:
        removed = [members for term, members in listed.items() if term.reason == reason]
        if not removed:
            reasons = ", ".join(dict.fromkeys(visible(term.reason) for term in listed)) or "none"
            raise SettingsError(f"--reason {reason}: nobody is allowed for that; the reasons are: {reasons}")
        count = sum(len(list(_each(each))) for each in removed)
        what = f"allow no more: {reason} ({count:,} {'entry' if count == 1 else 'entries'})"
    else:
        (name,) = _each(members)
        if name not in dict(_names(topic)):
            raise SettingsError(f"{visible(name)} is not on the list; 'faust -A app allow list' shows it")
        removed, what = [members], f"allow no more: {name}"
    await _change(topic, what, "", removed, [])


async def _change(
    topic: RulesTopic, what: str, why: str, disallow: Sequence[Members], allow: Sequence[Allowance]
) -> None:
    listed = topic.book.allow_list.listed()
    on_it = sum(len(list(_each(each))) for each in listed.values())
    if on_it + sum(len(list(_each(each))) for each in allow) > MOST and allow:
        raise SettingsError(
            f"the list takes {MOST:,} entries, and has {on_it:,}; take some off, or allow networks"
        )
    # The rules as they were written: also those that only a newer release can read.
    last = topic.book.editions[-1].change
    change = change_of(
        topic.book, last.rules, last.disabled, what=visible(what), who=who(), why=why, now=time(),
        disallow=disallow, allow=allow,
    )  # fmt: skip
    await make(topic, change)


def _allowance(members: Members, reason: str, until: str) -> Allowance:
    return Allowance(
        users=members.users, prefixes=members.prefixes, networks=members.networks, reason=reason, until=until
    )


def _names(topic: RulesTopic) -> Iterator[tuple[str, Term]]:
    """Everything on the list, as :func:`_each` names it."""
    for term, members in topic.book.allow_list.listed().items():
        for name in _each(members):
            yield name, term


def _each(members: Members) -> Iterator[str]:
    yield from (f"user {user}" for user in members.users)
    yield from (f"prefix {prefix}" for prefix in members.prefixes)
    yield from (f"network {network}" for network in members.networks)


def _expiry(until: str) -> str:
    return f" until {until}" if until else ""


def _list(topic: RulesTopic) -> None:
    listed = topic.book.allow_list.listed()
    if not listed:
        console.print("nobody is on the allow-list")
        return
    table = whole_table("who", "why", "expires", "added")
    for term, members in listed.items():
        names = list(_each(members))
        shown = ", ".join(map(visible, names[:NAMED]))
        if len(names) > NAMED:
            shown += f" and {len(names) - NAMED:,} more"
        change = topic.book.editions[term.since - 1].change
        added = f"{change.when} by {visible(change.who)}, change {change.number}"
        is_over = bool(term.until) and epoch(term.until) <= time()
        table.add_row(shown, visible(term.reason), _left(term.until), added, style="dim" if is_over else None)
    console.print(table)


def _left(until: str) -> str:
    """When that is, and how long until then."""
    if not until:
        return "never"
    seconds = int(epoch(until) - time())
    if seconds <= 0:
        return f"expired {until}"
    left = timedelta(seconds=seconds)
    days, hours, minutes = left.days, left.seconds // 3600, left.seconds % 3600 // 60
    return f"{until}, in " + (f"{days} d {hours} h" if days else f"{hours} h {minutes} min")
