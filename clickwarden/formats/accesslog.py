"""Web servers' access logs.

In the Common Log Format or the combined one [1]_, as Apache and nginx write
it. A line becomes a click so:

============  =====================================================================
user_id       the client's address
event         ``view`` for GET and HEAD; ``login`` for POST to a path that ends like a
              sign-in (``/login``, ``/wp-login.php``, ``/users/sign_in``, ``/session``,
              …); ``submit`` for every other POST, PUT, PATCH and DELETE; ``other``
              for what else a client may send, also where it is not HTTP
product_id    the path without the query
timestamp     when the server received the request, in the zone it names
============  =====================================================================

.. [1] https://httpd.apache.org/docs/2.4/logs.html#accesslog
"""

import re
from datetime import datetime
from itertools import compress
from math import isfinite, nan

import numpy as np

from clickwarden.detection.clicks import Clicks, Rejected
from clickwarden.formats.lines import Block
from clickwarden.formats.shapes import USER_ID_MAX

VIEW = frozenset({"GET", "HEAD"})
SUBMIT = frozenset({"POST", "PUT", "PATCH", "DELETE"})
LOGIN = re.compile(
    r"/(?:wp-)?(?:log[-_]?in|log[-_]?on|sign[-_]?in|sessions?|auth|authenticate)(?:\.\w+)?/?$", re.I
)
#: Why a line is no click.
NO_REQUEST = "no line of an access log"

#: Matches every line, so that the n-th match is the n-th line; without a
#: client where the line is none of an access log's.
LINE = re.compile(
    rf"^(?:(\S{{1,{USER_ID_MAX}}}+) .*?"  # client, then identity and user, which may hold blanks
    r'\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "'
    r'(?:([A-Z]+) ([^\s"?]*))?)?.*$',
    re.MULTILINE | re.ASCII,
)


def requests(head: bytes) -> int:
    """How many of the lines are an access log's."""
    return sum(bool(match[0]) for match in LINE.findall(head.decode(errors="replace")))


class _Times(dict[str, float]):
    """Epoch seconds by an access log's timestamp; NaN for what is none."""

    def __init__(self) -> None:
        self._minutes: dict[str, float] = {}

    def __missing__(self, stamp: str) -> float:
        minute = stamp[:17] + stamp[20:]
        try:
            start = self._minutes.get(minute)
            if start is None:
                start = self._minutes[minute] = datetime.strptime(minute, "%d/%b/%Y:%H:%M %z").timestamp()
            self[stamp] = moment = start + int(stamp[18:20])
        except ValueError:
            self[stamp] = moment = nan
        return moment


class AccessLog:
    """Parses lines of an access log."""

    def __call__(self, data: bytes, first: int) -> Block:
        """Parse some whole lines, the first of which has this number."""
        text = data.decode(errors="backslashreplace").removesuffix("\n")
        users, stamps, methods, paths = map(list, zip(*LINE.findall(text), strict=True))
        times = list(map(_Times().__getitem__, stamps))
        events = [
            "view" if method in VIEW else _event(method, path)
            for method, path in zip(methods, paths, strict=True)
        ]
        products = [path or None for path in paths]
        bad: list[Rejected] = []
        good = list(map(isfinite, times))
        if not all(good):
            lines = text.split("\n")
            bad = [
                Rejected(first + index, None, lines[index].encode(), NO_REQUEST, f"{lines[index][:80]!r}")
                for index, fine in enumerate(good)
                if not fine and not lines[index].isspace() and lines[index]
            ]
            users, events, products, times = (
                list(compress(column, good)) for column in (users, events, products, times)
            )
        clicks = Clicks(users, events, products, np.array(times, np.float64), rejected=bad)
        return Block(clicks, len(good), 0)


def _event(method: str, path: str) -> str:
    """What a request other than GET or HEAD does.

    >>> _event("POST", "/users/sign_in"), _event("POST", "/blogin"), _event("PROPFIND", "/")
    ('login', 'submit', 'other')
    """
    if method not in SUBMIT:
        return "other"
    return "login" if method == "POST" and LOGIN.search(path) else "submit"
