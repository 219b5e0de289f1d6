"""An amendment of the allow-list: who comes on it, who off, and what that is called."""

from collections.abc import Sequence
from typing import NamedTuple

from clickwarden.detection.allowlist import Allowance, AllowList, Members, Term
from clickwarden.detection.members import AllowanceError

#: Users, prefixes and networks on the list, all together.
MOST = 200_000


class Amendment(NamedTuple):
    """What becomes another on the list.

    Attributes:
        what: is done, in words; holds what strangers may have written.
        disallow: who comes off it.
        allow: who comes on it, or gets another reason or expiry.
    """

    what: str
    disallow: Sequence[Members]
    allow: Sequence[Allowance]


def adding(allow_list: AllowList, whom: Members, reason: str, until: str) -> Amendment | Term:
    """Have somebody on the list; as it is called where they are already, for that reason and so long.

    Args:
        allow_list: as it is.
        whom: one user, prefix or network.
        reason: of :func:`clickwarden.detection.members.reason_of`.
        until: as of :func:`clickwarden.detection.members.until_of`; empty: for ever.

    Raises:
        AllowanceError: the list is full.
    """
    known = _known(allow_list)
    (name,) = whom.names
    if (term := known.get(name)) and (term.reason, term.until) == (reason, until):
        return term
    _check_room(known, whom)
    return Amendment(f"allow {name}{_expiry(until)}", [], [_allowance(whom, reason, until)])


def replacing(
    allow_list: AllowList, networks: Sequence[str], source: str, reason: str, until: str
) -> Amendment | None:
    """Have networks on the list in place of those that are on it for that reason; None where they are.

    Args:
        allow_list: as it is.
        networks: each once.
        source: they come from.
        reason: likewise.
        until: likewise.

    Raises:
        AllowanceError: the list is full.
    """
    known = _known(allow_list)
    before = {name for name, term in known.items() if term.reason == reason and name.startswith("network ")}
    gone = sorted(name.removeprefix("network ") for name in before - {f"network {each}" for each in networks})
    fresh = [each for each in networks if known.get(f"network {each}", ("", "", ""))[1:] != (reason, until)]
    if not gone and not fresh:
        return None
    _check_room(known, Members(networks=fresh))
    what = f"allow the {'network' if len(networks) == 1 else f'{len(networks):,} networks'} of {source}"
    what += f"{_expiry(until)}: {len(fresh):,} new or changed, {len(gone):,} gone"
    allow = [_allowance(Members(networks=fresh), reason, until)] if fresh else []
    return Amendment(what, [Members(networks=gone)] if gone else [], allow)


def removing(allow_list: AllowList, whom: Members) -> Amendment:
    """Take somebody off the list.

    Args:
        allow_list: as it is.
        whom: one user, prefix or network.

    Raises:
        AllowanceError: they are not on it.
    """
    (name,) = whom.names
    if name not in _known(allow_list):
        kind, _, text = name.partition(" ")
        raise AllowanceError(
            kind, f"{kind} {text!r} is not on the allow-list; 'faust -A app allow list' shows it"
        )
    return Amendment(f"allow no more: {name}", [whom], [])


def removing_for(allow_list: AllowList, reason: str) -> Amendment:
    """Take all off the list who are on it for a reason.

    Raises:
        AllowanceError: nobody is.
    """
    listed = allow_list.listed()
    removed = [members for term, members in listed.items() if term.reason == reason]
    if not removed:
        reasons = ", ".join(dict.fromkeys(repr(term.reason) for term in listed)) or "none"
        raise AllowanceError(
            "reason", f"reason: nobody is allowed for {reason!r}; the reasons are: {reasons}"
        )
    count = sum(len(list(members.names)) for members in removed)
    what = f"allow no more: {reason} ({count:,} {'entry' if count == 1 else 'entries'})"
    return Amendment(what, removed, [])


def _known(allow_list: AllowList) -> dict[str, Term]:
    return {name: term for term, members in allow_list.listed().items() for name in members.names}


def _check_room(known: dict[str, Term], whom: Members) -> None:
    new = sum(name not in known for name in whom.names)
    if new and len(known) + new > MOST:
        raise AllowanceError(
            "network" if whom.networks else "prefix" if whom.prefixes else "user",
            f"the allow-list takes {MOST:,} entries, and has {len(known):,}; take some off, or allow "
            "networks",
        )


def _allowance(whom: Members, reason: str, until: str) -> Allowance:
    return Allowance(
        users=whom.users, prefixes=whom.prefixes, networks=whom.networks, reason=reason, until=until
    )


def _expiry(until: str) -> str:
    return f" until {until}" if until else ""
