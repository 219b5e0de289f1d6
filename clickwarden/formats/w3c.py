"""Logs in columns that name themselves: the W3C Extended Log File Format [1]_ of IIS, CloudFront and others.

A line ``#Fields:`` says what stands in the columns from there on, between
blanks or tabs; other lines that begin with ``#`` are comments.

.. [1] https://www.w3.org/TR/WD-logfile.html
"""

import re

from clickwarden.detection.clicks import Clicks
from clickwarden.formats.accesslog import AccessLog, Layout
from clickwarden.formats.clients import Clients
from clickwarden.formats.lines import Block, Parser

DIRECTIVE = re.compile(rb"^#Fields:[ \t]*(.*)$", re.MULTILINE | re.IGNORECASE)
#: What the columns say; their names in small letters.
COLUMNS = {
    "c-ip": "client",
    "x-forwarded-for": "forwarded",
    "cs(x-forwarded-for)": "forwarded",
    "date": "day",
    "time": "clock",
    "timestamp": "time",
    "cs-method": "method",
    "cs-uri-stem": "path",
    "cs-uri": "path",
    "cs-uri-query": "query",
    "sc-status": "status",
    "cs(referer)": "referer",
}
_VALUE = r'(?:"[^"\n]*+"|[^ \t\r\n]*+)'


class W3C:
    """Parses lines of an extended log."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._layouts: dict[bytes, Parser] = {}
        self._parse: Parser | None = None

    def __call__(self, data: bytes, first: int) -> Block:
        """Parse some whole lines, the first of which has this number."""
        blocks: list[Block] = []
        lines, start = data.removesuffix(b"\n").split(b"\n"), 0
        directives = [index for index, line in enumerate(lines) if line.startswith(b"#")]
        for index in [*directives, len(lines)]:
            if start < index:
                blocks.append(self._some(b"\n".join(lines[start:index]) + b"\n", first + start))
            if index < len(lines):
                self._direct(lines[index])
            start = index + 1
        return _together(blocks, len(lines), len(directives))

    def _some(self, data: bytes, first: int) -> Block:
        parse = self._parse or AccessLog(Layout("W3C without #Fields", r"(?P<client>(?!))"), self._clients)
        return parse(data, first)

    def _direct(self, line: bytes) -> None:
        found = DIRECTIVE.match(line)
        if found is None:
            return
        names = found[1].strip()
        if names not in self._layouts:
            self._layouts[names] = AccessLog(layout_of(names.decode(errors="replace")), self._clients)
        self._parse = self._layouts[names]


def layout_of(names: str) -> Layout:
    """The layout of lines with these columns."""
    columns, roles = [], set[str]()
    for name in names.lower().split():
        role = COLUMNS.get(name, "")
        columns.append(rf"(?P<{role}>{_VALUE})" if role and role not in roles else _VALUE)
        roles.add(role)
    if "day" not in roles or "clock" not in roles:
        columns = [column.replace("(?P<day>", "(?:").replace("(?P<clock>", "(?P<time>") for column in columns]
    return Layout("W3C", r"[ \t]".join(columns))


def _together(blocks: list[Block], lines: int, comments: int) -> Block:
    """One block of several, in their order, and so many comments."""
    whole = Block(Clicks.together([block.clicks for block in blocks]), lines, 0)
    whole.blank = comments + sum(block.blank for block in blocks)
    return whole
