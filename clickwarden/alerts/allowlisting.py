"""Changes of the allow-list, as the rules topic takes them."""

from collections.abc import Iterator, Sequence

from clickwarden.alerts.words import visible
from clickwarden.detection.allowlist import Allowance, Members, Term
from clickwarden.detection.rulebook import Change, Rulebook
from clickwarden.errors import SettingsError
from clickwarden.kafka.rulestopic import change_of

#: Users, prefixes and networks on the list, all together.
MOST = 200_000


def entries(members: Members) -> Iterator[str]:
    """Each user, prefix and network, as people read it."""
    yield from (f"user {user}" for user in members.users)
    yield from (f"prefix {prefix}" for prefix in members.prefixes)
    yield from (f"network {network}" for network in members.networks)


def listed(book: Rulebook) -> Iterator[tuple[str, Term]]:
    """Everything on the list, as :func:`entries` names it."""
    for term, members in book.allow_list.listed().items():
        for name in entries(members):
            yield name, term


def expiry(until: str) -> str:
    """When that is, behind what is allowed; empty for ever."""
    return f" until {until}" if until else ""


def addition(
    book: Rulebook, members: Members, reason: str, until: str, *, who: str, now: float
) -> Change | None:
    """The change that allows one user, prefix or network; None where the list says the same already.

    Raises:
        SettingsError: as :func:`allowing`.
    """
    (name,) = entries(members)
    if dict(listed(book)).get(name, ("", "", ""))[1:] == (reason, until):
        return None
    what = f"allow {name}{expiry(until)}"
    return allowing(book, what, reason, [], [allowance(members, reason, until)], who=who, now=now)


def allowance(members: Members, reason: str, until: str) -> Allowance:
    """These, allowed."""
    return Allowance(
        users=members.users, prefixes=members.prefixes, networks=members.networks, reason=reason, until=until
    )


def allowing(
    book: Rulebook,
    what: str,
    why: str,
    disallow: Sequence[Members],
    allow: Sequence[Allowance],
    *,
    who: str,
    now: float,
) -> Change:
    """The next change, of the list alone; ``now`` in epoch seconds.

    Raises:
        SettingsError: there are no rules yet, or the list would be too long.
    """
    if not book.number:
        raise SettingsError("there are no rules yet to go over; start a worker first")
    on_it = sum(1 for _ in listed(book))
    if allow and on_it + sum(len(list(entries(each))) for each in allow) > MOST:
        raise SettingsError(
            f"the list takes {MOST:,} entries, and has {on_it:,}; take some off, or allow networks"
        )
    # The rules as they were written: also those that only a newer release can read.
    last = book.editions[-1].change
    return change_of(
        book,
        last.rules,
        last.disabled,
        what=visible(what),
        who=who,
        why=why,
        now=now,
        disallow=disallow,
        allow=allow,
    )
