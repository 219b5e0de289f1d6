"""Web servers' access logs of one line a request, in text.

The layouts in :data:`LAYOUTS` are told by the first lines of a file: the
common and the combined log format [1]_ as Apache, nginx and most others write
it, also with a virtual host or X-Forwarded-For before it; HAProxy's, AWS' load
balancers' and buckets', Envoy's and Squid's own. Any other is given as the
server's format string (:mod:`~clickwarden.formats.logformat`).

.. [1] https://httpd.apache.org/docs/2.4/logs.html#accesslog
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from clickwarden.formats.clients import Clients, address, host
from clickwarden.formats.lines import Block
from clickwarden.formats.moments import Moments
from clickwarden.formats.patterns import possessive
from clickwarden.formats.requests import Columns, Requests

# Parts of layouts. They stay within a line, and hardly one goes back over what it has matched: a line made
# up to be slow is as fast as any.
QUOTED = r'[^"\\\n]*+(?:\\.[^"\\\n]*+)*+'
CLIENT = r'(?P<client>[^\s,"]++(?:, ?[^\s,"]++)*+(?! [^\s"]*,)|(?:(?:[^"\\,\[\n]|\\.)*+,)++ ?[^\s,"]++)'
STAMP = (
    r"(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}[: ][^\]\n]{1,32}+"
    r"|\d{4}-\d\d-\d\d[T ][^\]\n]{1,32}+|\d{10}(?:\.\d++)?+)"
)
TIME = rf"\[{STAMP}\]"
ISO = r"(?P<time>\d{4}-\d\d-\d\dT[^\s\]]++)"


def target(stop: str = "") -> str:
    """The path, and where there is one the query, behind scheme and host or not; to a blank or ``stop``."""
    name, value = rf'[^\s"?\\{stop}]*+', rf'[^\s"\\{stop}]*+'
    return (
        rf"(?:[a-z]{{2,5}}://[^/\s\"]*+)?(?P<path>{name}(?:\\.{name})*+)(?P<query>\?{value}(?:\\.{value})*+)?"
    )


#: X-Forwarded-For between quotes: its client may have written what it likes, but not behind the last comma.
HOPS = r'(?:(?:[^"\\,\n]|\\.)*+,)*+ ?[\da-fA-F.:\[\] unkow-]++'
#: The beginning of what stands between the quotes of a request; nothing where it is none of HTTP.
REQUEST = rf"(?:(?P<method>[A-Z]++(?:-[A-Z]++)?+) {target()})?"
STATUS = r"(?P<status>\d{3})"
#: Bytes, referer, user agent, and X-Forwarded-For: what is quoted next, if it looks like it.
FORWARDED = rf'(?: [^\s"]++ "{QUOTED}" "{QUOTED}"(?:[^"\n]*+"(?P<forwarded>{HOPS})")?)?'
#: The common log format from its time on, and what the combined one and others have behind it.
COMMON = rf'{TIME} "{REQUEST}(?:{QUOTED}" {STATUS}{FORWARDED})?'


@dataclass(frozen=True)
class Layout:
    """How the lines of a log are made.

    Attributes:
        name: for people.
        pattern: of a line's beginning, with the named groups client, forwarded, time (or day and clock),
            method, path, query and status, as far as there are such.
        times: of :meth:`datetime.strptime`; empty where :class:`Moments` knows how they are written.
    """

    name: str
    pattern: str
    times: str = ""

    @property
    def has_client(self) -> bool:
        """Whether it says who was connected, and not only what X-Forwarded-For says."""
        return "(?P<client>" in self.pattern

    def behind(self, prefix: str) -> "Layout":
        """The same, of lines with something before them that this pattern matches."""
        return replace(self, pattern=prefix + self.pattern)


# fmt: off
#: Those that are recognised. Of two that fit as many lines the first is taken.
LAYOUTS = (
    Layout("X-Forwarded-For, then combined",
           r'(?P<forwarded>(?:(?:[^",\\\n]|\\.)*+,)*+ ?[\da-fA-F:.\[\]]++|-|unknown) '
           r'(?P<client>[\da-fA-F]++[:.][\da-fA-F:.]++) [^\s"]++ .*?' + COMMON.replace(FORWARDED, "")),
    Layout("common or combined", rf'{CLIENT} [^\s"]++ .*?{COMMON}'),
    Layout("virtual host, then common or combined", rf'\S++ {CLIENT} [^\s"]++ .*?{COMMON}'),
    Layout("common or combined without a user", rf'{CLIENT} {COMMON}'),
    Layout("time first", rf'{TIME} {CLIENT}[^"\n]*+"{REQUEST}(?:{QUOTED}" {STATUS}(?!\d))?'),
    Layout("HAProxy",
           rf'(?P<client>[^\s"]+):\d{{1,5}} \[(?P<time>\d\d/[A-Z][a-z]{{2}}/\d{{4}}:[^\]\n]++)\] '
           rf'\S++ \S++ [-+\d/]++ (?P<status>\d{{3}}|-1) [^"\n]*+"{REQUEST}'),
    Layout("AWS ALB",
           rf'(?:https?|h2|wss?|grpcs?) {ISO} \S++ {CLIENT} \S++ \S++ \S++ \S++ (?P<status>\d{{3}}|-) '
           rf'[^"\n]*+"{REQUEST}'),
    Layout("AWS ELB", rf'{ISO} \S++ {CLIENT} \S++ \S++ \S++ \S++ {STATUS} [^"\n]*+"{REQUEST}'),
    Layout("AWS S3",
           rf'\w{{16,}}+ \S++ {TIME} {CLIENT} \S++ \S++ [A-Z][\w.]++ \S++ '
           rf'"{REQUEST}(?:{QUOTED}" {STATUS})?'),
    Layout("Envoy",
           rf'\[{ISO}\] "{REQUEST}{QUOTED}" {STATUS} [^"\n]*+(?:"{QUOTED}" [^"\n]*+)??'
           rf'"(?P<forwarded>[\da-fA-F.:,\[\] unkow-]++)"'),
    Layout("Squid",
           rf'(?P<time>\d{{10}}\.\d{{3}}) ++\d++ {CLIENT} \w++/{STATUS} \d++ (?P<method>[A-Z]++) {target()}'),
)
# fmt: on


class AccessLog:
    """Parses lines of one layout."""

    def __init__(self, layout: Layout, clients: Clients) -> None:
        self._line = compiled(layout, forwarded=clients.trusting)
        self._places = self._line.groupindex
        self._requests = Requests(clients)
        self._moments = Moments(layout.times)

    def __call__(self, data: bytes, first: int) -> Block:
        """Parse some whole lines, the first of which has this number."""
        text = data.decode(errors="backslashreplace").removesuffix("\n")
        rows = self._line.findall(text)
        found = list(zip(*rows, strict=True))
        missing = ("",) * len(rows)

        def column(name: str) -> tuple[str, ...]:
            return found[self._places[name] - 1] if name in self._places else missing

        stamps: Iterable[str] = column("time")
        if "day" in self._places:
            stamps = map(" ".join, zip(column("day"), column("clock"), strict=True))
        forwarded = column("forwarded") if "forwarded" in self._places else None
        columns = Columns(
            peers=column("client") if "client" in self._places else missing,
            forwarded=forwarded,
            times=np.fromiter(map(self._moments.__getitem__, stamps), np.float64, len(rows)),
            methods=column("method"),
            paths=column("path"),
            queries=column("query"),
            statuses=column("status"),
        )
        return self._requests.block(columns, first, lambda: text.encode().split(b"\n"))


@lru_cache(maxsize=64)
def compiled(layout: Layout, *, forwarded: bool) -> re.Pattern[str]:
    """Matches every line, so that the n-th match is the n-th line; all groups empty where it is no such.

    Args:
        layout: of the lines.
        forwarded: whether X-Forwarded-For is looked for.
    """
    pattern = layout.pattern if forwarded else layout.pattern.replace(FORWARDED, "")
    line = rf"^(?:{pattern})?+[^\n]*+$"
    found = possessive(f"(?ma){line}")
    # Of a single group findall() would make no tuple.
    return found if found.groups > 1 else possessive(f"(?ma)(){line}")


def fit(layout: Layout, head: str) -> int:
    """How well the layout fits some lines: two for each whose client is an address, one for a host name."""
    line = compiled(layout, forwarded=True)
    score = 0
    for match in line.finditer(head):
        found = match.groupdict()
        client = found.get("client") or ""
        hop = (client or found.get("forwarded") or "").rpartition(",")[2].strip()
        if hop:
            score += 2 if address(hop) or hop.startswith("unix:") else bool(host(hop))
    return score


def recognised(head: str) -> Layout | None:
    """The layout that these lines are in; None if it is none of those known."""
    best, most = None, 0
    for layout in LAYOUTS:
        if (score := fit(layout, head)) > most:
            best, most = layout, score
        if most == 2 * (head.count("\n") + 1):
            break
    return best


def requests(head: bytes) -> int:
    """How many of the lines are an access log's."""
    text = head.decode(errors="replace")
    layout = recognised(text)
    if layout is None:
        return 0
    return sum(match["time"] is not None for match in compiled(layout, forwarded=True).finditer(text))
