"""Strangers' text as a message may hold it, wherever the message is shown."""

import re

from clickwarden.alerts.sight import shortened
from clickwarden.alerts.words import visible

#: Of a user id or a reason, what a message shows.
MOST = 120

#: Printable by Unicode's categories, and yet nothing to be seen: fillers, joiners and variation selectors.
_HIDDEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
#: What begins markup, a mention or a link in one channel or another.
_MARKUP = re.compile(r"[<>`]|(?<=\])\(")
#: What makes a client link a bare name: a full stop before letters.
_DOT = re.compile(r"[.\u3002\uff0e\uff61](?=[^\W\d_])")


def inert(text: str, most: int = MOST) -> str:
    r"""A stranger's text that no reader obeys, mentions anybody by, or makes a link of.

    What cannot be seen is escaped. Links and addresses are broken up as
    security people write them, and stay readable.

    >>> print(inert("203.0.113.9"), inert("eve@shop.example"), inert("https://evil.example/?a=1"))
    203.0.113.9 eve[at]shop[.]example https[:]//evil[.]example/?a=1
    >>> print(inert("<!channel>"), inert("[here](javascript:alert)"), inert("eve\u202e\u3164\r\nBcc: all"))
    \x3c!channel\x3e [here]\x28javascript:alert) eve\u202e\u3164\r\nBcc: all
    """
    seen = _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), visible(text))
    seen = _MARKUP.sub(lambda found: f"\\x{ord(found[0]):02x}", seen)
    seen = seen.replace("://", "[:]//").replace("@", "[at]").replace("\uff20", "[at]")
    return shortened(_DOT.sub("[.]", seen), most)
