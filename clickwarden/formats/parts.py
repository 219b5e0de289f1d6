"""Lines that container runtimes have written in parts: beyond 16 KiB Docker and Kubernetes begin a new one.

CRI [1]_ marks a part with ``P`` and the last with ``F``; Docker's json-file ends all but the last without a
line feed in ``log``. Parts of stdout and of stderr may stand between each other.

.. [1] https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
"""

from collections.abc import Callable, Iterator, Sequence

from clickwarden.formats.lines import Block, Parser
from clickwarden.formats.patterns import possessive

#: Before the text: the stream; and the tags, of which the first is P or F.
_CRI = possessive(rb"\d{4}-\d\d-\d\dT[\d:.]++(?:Z|[+-]\d\d:\d\d) (std(?:out|err)) ([FP])(?::\S++)?+ ")
#: The text, and behind it the stream.
_DOCKER = possessive(rb'\{"log":"((?:[^"\\\n]|\\.)*+)","stream":"(std(?:out|err))"')

#: A line's stream, where its text begins and ends, and whether it goes on in the next; None where it is no
#: runtime's.
Part = tuple[bytes, int, int, bool]


def _cri(line: bytes) -> Part | None:
    found = _CRI.match(line)
    return (found[1], found.end(), len(line), found[2] == b"P") if found else None


def _docker(line: bytes) -> Part | None:
    found = _DOCKER.match(line)
    return (found[2], *found.span(1), not found[1].endswith(b"\\n")) if found else None


class Joined:
    """Joins parts to lines; in the place of those that were appended to another there are blank ones."""

    def __init__(self, part: Callable[[bytes], Part | None], parse: Parser) -> None:
        self._part = part
        self._parse = parse

    def __call__(self, data: bytes, first: int) -> Block:
        """Parse some whole lines, the first of which has this number."""
        lines = data.removesuffix(b"\n").split(b"\n")
        return self._parse(b"\n".join(_joined(lines, self._part)) + b"\n", first)


def joined(lines: Sequence[bytes]) -> tuple[list[bytes], Callable[[Parser], Parser]]:
    """Lines without the parts among them, and what makes a parser join them, if they are a runtime's."""
    for part in (_cri, _docker):
        found = list(filter(None, map(part, lines)))
        # A service that writes no line feeds writes no parts either.
        if found and 2 * sum(goes_on for *_, goes_on in found) <= len(found):
            whole = [line for line in _joined(lines, part) if line.strip()]
            return whole, lambda parse, part=part: Joined(part, parse)
    return list(lines), lambda parse: parse


def unfinished(data: bytes) -> int:
    """Where the parts begin that these whole lines end with, of a line that goes on; their length if none."""
    end = len(data)
    while end:
        begin = data.rfind(b"\n", 0, end - 1) + 1
        line = data[begin : end - 1]
        part = _cri(line) or _docker(line)
        if part is None or not part[3]:
            break
        end = begin
    return end


def _joined(lines: Sequence[bytes], part_of: Callable[[bytes], Part | None]) -> Iterator[bytes]:
    texts: list[bytes] = []
    open_: dict[bytes, tuple[int, int]] = {}  # of each stream the line that goes on, and where its text ends
    for line in lines:
        part = part_of(line)
        if part is None:
            texts.append(line)
            continue
        stream, begin, end, goes_on = part
        if stream in open_:
            place, at = open_.pop(stream)
            texts[place] = texts[place][:at] + line[begin:end] + texts[place][at:]
            texts.append(b"")
            at += end - begin
        else:
            place, at = len(texts), end
            texts.append(line)
        if goes_on:
            open_[stream] = place, at
    return iter(texts)
