"""Links in messages by which whoever was told says what an incident was: signed, and for a time."""

import hmac
import re
from base64 import urlsafe_b64encode
from hashlib import sha256

from clickwarden.channels.secret import Secret

#: Where the page has them.
PATH = "feedback/"
#: They work for so long after their message, seconds.
VALID_SECONDS = 7 * 86_400
#: A secret is no shorter: as text, 24 random bytes in Base64 are so long.
LEAST = 32

_ID = r"[A-Za-z0-9_-]{1,128}"
_TOKEN = re.compile(rf"({_ID})\.([0-9]{{1,12}})\.([A-Za-z0-9_-]{{43}})")
_ABOUT = b"clickwarden feedback 1"


class LinkError(Exception):
    """A link does not work; why, in words for who has clicked it."""


class LinkExpired(LinkError):
    """It did once."""


class Links:
    """Makes links, and knows its own: whoever has the same secret does.

    A link holds the incident's id, when it expires, and HMAC-SHA256 (RFC 2104)
    of both. Nothing in it can be changed, so that it is good for no other incident.

    Args:
        page: where people reach the page, with a slash at its end.
        secret: of which only the workers know.
    """

    def __init__(self, page: str, secret: Secret) -> None:
        self._page = page
        self._secret = secret

    def link(self, incident_id: str, at: float) -> str:
        """The link of an incident, for a message of that time, epoch seconds; the same at every call.

        Empty for an id that Clickwarden would not make.
        """
        if not re.fullmatch(_ID, incident_id):
            return ""
        expires = str(int(at) + VALID_SECONDS)
        return f"{self._page}{PATH}{incident_id}.{expires}.{self._signature(incident_id, expires)}"

    def incident_id(self, token: str, now: float) -> str:
        """Of which incident a link is, by what stands behind :data:`PATH`; at ``now``, epoch seconds.

        Raises:
            LinkExpired: it is ours, and too old.
            LinkError: it is not ours.
        """
        found = _TOKEN.fullmatch(token)
        if not found or not hmac.compare_digest(self._signature(found[1], found[2]), found[3]):
            raise LinkError("This link is none of ours, or a part of it is missing. Open it from the message")
        if int(found[2]) <= now:
            raise LinkExpired(
                f"This link has expired: it works for {VALID_SECONDS // 86_400} days after its message"
            )
        return found[1]

    def _signature(self, incident_id: str, expires: str) -> str:
        signed = b"\n".join((_ABOUT, expires.encode(), incident_id.encode()))
        digest = hmac.digest(self._secret.reveal().encode(), signed, sha256)
        return urlsafe_b64encode(digest).decode().rstrip("=")
