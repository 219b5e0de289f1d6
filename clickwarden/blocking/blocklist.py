"""Who is blocked: a function of incidents, allow-list, what people said of incidents, and time."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

from clickwarden.alerts.feed import RECORD_BYTES, SLICE
from clickwarden.alerts.feedback import KnownFeedback
from clickwarden.alerts.incidents import SEVERITIES, Severity
from clickwarden.blocking.address import Target, is_never, is_private, target_of
from clickwarden.blocking.block import Block, Offence, Terms, block_of
from clickwarden.detection.allowlist import AllowList
from clickwarden.formats.json import UNREADABLE
from clickwarden.times import epoch, isotime

#: Incidents that are kept, those heard of last.
KEEP = 50_000
#: How many are blocked at once: the severest, and of those that last longest.
MOST = 10_000
#: So long what is over is told of, seconds.
TOLD_SECONDS = 86_400.0

#: Why somebody is not on the list: an address that is not to be blocked, or one of too many.
Reason = Literal["private", "many"]


class _Heard(msgspec.Struct, gc=False):
    """What is needed of a record of the incidents topic."""

    incident_id: str
    user_id: str
    rule: str
    severity: Severity
    since: str
    last_seen: str
    shadow: bool = False
    allowed: str = ""
    pipeline: str = ""


_decode = msgspec.json.Decoder(_Heard).decode


class Listing(NamedTuple):
    """The list at a time.

    Attributes:
        at: epoch seconds.
        blocks: one a target, that which lasts longest first.
        over: those that were blocked, or would have been but for allow-list, people and the bound, at most
            :data:`TOLD_SECONDS` ago, and are not.
        left_out: users who are not on it, by why.
    """

    at: float
    blocks: list[Block]
    over: list[Block]
    left_out: dict[Reason, int]


class _Case:
    """What is known of one user.

    Attributes:
        block: the last.
        without: what it would be if nobody were spared.
    """

    def __init__(self, user_id: str) -> None:
        self.target: Target = target_of(user_id)
        self.offences: dict[str, tuple[Offence, bool]] = {}
        self.block: Block | None = None
        self.without: Block | None = None


def human_by(feedback: KnownFeedback) -> Callable[[str], bool]:
    """Whether people have said of an incident that it is a human."""

    def is_human(incident_id: str) -> bool:
        said = feedback.get(incident_id)
        return said is not None and said.verdict == "human"

    return is_human


def allowed_by(allow_list: AllowList, now: float) -> Callable[[str], bool]:
    """Whether a user is on the allow-list now, epoch seconds."""
    number, at = allow_list.number, isotime(now)
    return lambda user_id: bool(allow_list.reason(number, user_id, at))


class BlockedUsers:
    """Made of the records of the incidents topic, in whatever order and however often they are heard.

    Args:
        terms: whom to block, and how long.
        spared: whether people have said of an incident that it is a human.
        keep: incidents.
        most: blocks.
    """

    def __init__(
        self, terms: Terms, spared: Callable[[str], bool], keep: int = KEEP, most: int = MOST
    ) -> None:
        self.terms = terms
        self._spared = spared
        self._keep = keep
        self._most = most
        self._cases: dict[str, _Case] = {}
        self._users: dict[str, str] = {}
        self._changed: set[str] = set()

    def take(self, value: bytes | None) -> None:
        """Take over a record of the topic; what is no incident is passed over."""
        if value is None or len(value) > RECORD_BYTES:
            return
        try:
            heard = _decode(value)
            begin, last = epoch(heard.since), epoch(heard.last_seen)
        except (*UNREADABLE, ValueError, OverflowError):
            return
        self._forget(heard.incident_id)
        # The key of a pipeline's record, a card perhaps, is nobody who asks for pages.
        if heard.shadow or heard.pipeline or not self.terms.is_met(heard.severity):
            return
        case = self._cases.get(heard.user_id)
        if case is None:
            case = self._cases[heard.user_id] = _Case(heard.user_id)
        offence = Offence(begin, last, heard.incident_id, heard.rule, heard.severity)
        case.offences[heard.incident_id] = offence, bool(heard.allowed)
        self._users[heard.incident_id] = heard.user_id
        self._changed.add(heard.user_id)
        if len(self._users) > self._keep:
            self._forget(next(iter(self._users)))

    def reconsider(self, incident_id: str) -> None:
        """Ask anew whether an incident is a human."""
        if incident_id in self._users:
            self._changed.add(self._users[incident_id])

    async def look(self, allowed: Callable[[str], bool], now: float) -> Listing:
        """The list at ``now``, epoch seconds; ``allowed`` says whether a user is on the allow-list then."""
        changed, self._changed = self._changed, set()
        for number, user_id in enumerate(changed, 1):
            self._settle(user_id)
            if not number % SLICE:
                await asyncio.sleep(0)
        found: dict[Target, Block] = {}
        over: dict[Target, Block] = {}
        left_out: Counter[Reason] = Counter()
        for number, case in enumerate(list(self._cases.values()), 1):
            block = case.block
            if block is not None and block.until > now and not self._is_allowed(block, allowed):
                if self._is_own(case.target):
                    left_out["private"] += 1
                else:
                    _keep_longest(found, block)
            elif case.without is not None and case.without.until > now - TOLD_SECONDS:
                _keep_longest(over, case.without)
            if not number % SLICE:
                await asyncio.sleep(0)
        blocks = sorted(found.values(), key=_weight, reverse=True)
        if surplus := blocks[self._most :]:
            left_out["many"] = len(surplus)
            over |= {block.target: block for block in surplus}
        listed = sorted(blocks[: self._most], key=_lasting, reverse=True)
        for block in listed:
            over.pop(block.target, None)
        gone = [block for block in over.values() if not self._is_own(block.target)]
        return Listing(now, listed, gone, dict(left_out))

    def _is_own(self, target: Target) -> bool:
        network = target.network
        if network is None:
            return False
        return is_never(network) or (is_private(network) and not self.terms.private)

    def _is_allowed(self, block: Block, allowed: Callable[[str], bool]) -> bool:
        """Whether a user is, or who has the same address, written in the usual way."""
        value = block.target.value
        return allowed(block.user_id) or (value != block.user_id and allowed(value))

    def _settle(self, user_id: str) -> None:
        case = self._cases.get(user_id)
        if case is None:
            return
        everything = [offence for offence, _ in case.offences.values()]
        blamed = [
            offence
            for offence, is_allowed in case.offences.values()
            if not is_allowed and not self._spared(offence.incident_id)
        ]
        case.block = block_of(user_id, case.target, blamed, self.terms)
        case.without = block_of(user_id, case.target, everything, self.terms)

    def _forget(self, incident_id: str) -> None:
        user_id = self._users.pop(incident_id, None)
        if user_id is None:
            return
        case = self._cases[user_id]
        del case.offences[incident_id]
        self._changed.add(user_id)
        if not case.offences:
            del self._cases[user_id]


def _keep_longest(blocks: dict[Target, Block], block: Block) -> None:
    """Of users who are one address, written in several ways, have that which lasts longest."""
    known = blocks.get(block.target)
    if known is None or _lasting(block) > _lasting(known):
        blocks[block.target] = block


def _lasting(block: Block) -> tuple[float, str]:
    return block.until, block.user_id


def _weight(block: Block) -> tuple[int, float, str]:
    return SEVERITIES.index(block.offence.severity), *_lasting(block)
