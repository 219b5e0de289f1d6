"""Records set aside, in ``clicks.rejected`` and ``clicks.late``: original key, value and headers, and why."""

from collections.abc import Sequence

#: Where the record came from.
HEADER_TOPIC = "topic"
HEADER_PARTITION = "partition"
HEADER_OFFSET = "offset"
#: Of a record that holds several things, which of them it is, from 0; missing where it is the whole record.
HEADER_ELEMENT = "element"
#: Why it is here.
HEADER_REASON = "reason"
HEADER_DETAIL = "detail"
#: In ``clicks.late``: names of the rules whose window was closed, comma between.
HEADER_RULES = "rules"
#: Those of them that could not count the click any more; missing where there is none.
HEADER_UNCOUNTED = "uncounted"
#: Windows that were closed, and those of them that could not count the click any more, as ``RULE/START`` with
#: epoch seconds, comma between; the second is missing where there is none.
HEADER_WINDOWS = "windows"
HEADER_UNCOUNTED_WINDOWS = "uncounted_windows"

OURS = frozenset(
    {
        HEADER_TOPIC,
        HEADER_PARTITION,
        HEADER_OFFSET,
        HEADER_ELEMENT,
        HEADER_REASON,
        HEADER_DETAIL,
        HEADER_RULES,
        HEADER_UNCOUNTED,
        HEADER_UNCOUNTED_WINDOWS,
        HEADER_WINDOWS,
    }
)
#: Where the record had a header of one of these names, its name begins so.
ORIGINAL = "original."
#: Of a record that holds several things each of which is set aside: larger headers stay where they are.
HEADERS_BYTES = 1024

#: What is said about a record; a name may be given twice.
Headers = Sequence[tuple[str, bytes | None]]


def carried(headers: Headers, *, whole: bool) -> list[tuple[str, bytes | None]]:
    """The headers of a record that its copies have.

    Args:
        headers: all of them.
        whole: whether the record is set aside as it is, and not one of up to 20,000 things in it.

    >>> carried([("trace", b"7"), ("reason", None)], whole=True)
    [('trace', b'7'), ('original.reason', None)]
    """
    if not whole and sum(len(name) + len(value or b"") for name, value in headers) > HEADERS_BYTES:
        return []
    return [(ORIGINAL + name if name in OURS else name, value) for name, value in headers]
