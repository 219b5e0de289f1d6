"""Guesses at a token: how many there were, and when there are too many."""

import hmac
import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic

from clickwarden.allowance import Allowance, network

log = logging.getLogger(__name__)

#: Wrong tokens of one address that are looked at, and how many more a second.
BURST = 20
PER_SECOND = 1.0
#: The log tells of guesses so often, seconds.
TELL_SECONDS = 3600.0


class TooManyGuesses(Exception):
    """The address has sent too many wrong tokens: what it sends now is not looked at."""


class Guesses:
    """Says whether a token is the right one, but not to who tries many.

    An address that guesses is refused whatever it sends, the right token too,
    or the answer would tell it which it is.

    Args:
        token: the right one.
        door: whose token it is, in words.
        now: a steady clock, seconds.
        others: that are as right.

    Attributes:
        counts: tokens that were ``wrong``, and those ``refused`` without a look.
    """

    def __init__(
        self, token: str, door: str, now: Callable[[], float] = monotonic, others: Sequence[str] = ()
    ) -> None:
        self.counts = Counter({"wrong": 0, "refused": 0})
        self._tokens = [encoded(each) for each in (token, *others)]
        self._door = door
        self._now = now
        self._allowance = Allowance(BURST, PER_SECOND, now)
        self._told = -math.inf

    def is_right(self, given: str, address: str | None) -> bool:
        """Whether this is the token, found out in a time that does not tell how much of it is.

        Raises:
            TooManyGuesses: by the address.
        """
        guesser = network(address)
        if self._allowance.left(guesser) < 1:
            self.counts["refused"] += 1
            self._tell(guesser)
            raise TooManyGuesses
        if any(list(map(partial(hmac.compare_digest, encoded(given)), self._tokens))):
            return True
        self.counts["wrong"] += 1
        self._allowance.spend(guesser)
        return False

    def _tell(self, guesser: str) -> None:
        if self._now() - self._told >= TELL_SECONDS:
            self._told = self._now()
            log.warning(
                "Somebody guesses the %s's token: %s wrong ones so far, the last from %s. From an address, "
                "%g a second are looked at; /metrics counts all",
                self._door,
                self.counts["wrong"],
                guesser,
                PER_SECOND,
            )


def encoded(text: str) -> bytes:
    """The text as aiohttp reads headers, whatever bytes they hold."""
    return text.encode(errors="surrogateescape")
