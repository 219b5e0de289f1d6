"""Keys that pages send clicks with.

Everybody can read them, so each is good for the pages of one origin, and for
some time.
"""

import hmac
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable

from clickwarden.errors import SettingsError

DAY = 24 * 60 * 60
#: Characters of the signature, of 6 bits each.
SIGNATURE = 22

_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?")


class Keys:
    """Makes and knows keys: the second from which on each is good no more, and a signature (RFC 2104).

    Args:
        secret: that signs; whoever sees a key may try secrets at leisure, so it must be long.
        now: epoch seconds.
    """

    def __init__(self, secret: str, now: Callable[[], float] = time.time) -> None:
        self._secret = secret.encode(errors="surrogateescape")
        self._now = now

    def make(self, origin: str, days: float) -> str:
        """A key for the pages of an origin, as browsers write it.

        Raises:
            SettingsError: it is none.
        """
        if not _ORIGIN.fullmatch(origin):
            raise SettingsError(
                f"{origin!r} is no origin: write it as browsers do, in small letters and without a path or a "
                "slash at its end, as https://shop.example or http://127.0.0.1:8000"
            )
        end = f"{self._now() + days * DAY:.0f}"
        return f"{end}.{self._signature(end, origin)}"

    def is_good(self, key: str, origin: str) -> bool:
        """Whether the key is for this origin, and not too old."""
        end, _, signature = key.partition(".")
        expected = self._signature(end, origin)
        if not hmac.compare_digest(signature.encode(errors="replace"), expected.encode()):
            return False
        return self._now() < int(end)

    def _signature(self, end: str, origin: str) -> str:
        signed = f"clickwarden collect {end} {origin}".encode(errors="surrogateescape")
        return urlsafe_b64encode(hmac.digest(self._secret, signed, "sha256"))[:SIGNATURE].decode()
