"""Clicks from files: access logs, and NDJSON; either may be compressed with gzip."""

import zlib
from collections.abc import Iterator
from gzip import GzipFile
from io import BufferedReader
from pathlib import Path

from clickwarden.errors import ClickwardenError
from clickwarden.formats import accesslog
from clickwarden.formats.accesslog import AccessLog
from clickwarden.formats.choice import decoder_of
from clickwarden.formats.lines import Block, Parser
from clickwarden.formats.ndjson import NDJSON
from clickwarden.settings import Settings

BLOCK_BYTES = 256 * 1024
#: A longer line is cut, and so becomes one that cannot be read.
LINE_BYTES = 64 * 1024
GZIP_MAGIC = b"\x1f\x8b"


def read(path: Path, settings: Settings) -> Iterator[Block]:
    """The clicks of a file, some thousand lines at a time.

    Raises:
        ClickwardenError: the file cannot be read, or is neither an access log
            nor NDJSON.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            raw.seek(0)
            file: GzipFile | BufferedReader = GzipFile(fileobj=raw) if packed else raw
            parse: Parser | None = None
            line = 1
            while data := file.read(BLOCK_BYTES):
                data += file.readline(LINE_BYTES)
                parse = parse or _parser(path, data, settings)
                block = parse(data, line)
                block.read = raw.tell()
                yield block
                line += block.lines
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ClickwardenError(f"{path}: cannot be read: {reason}") from None


def _parser(path: Path, data: bytes, settings: Settings) -> Parser:
    """The parser for the format most of the first lines are in."""
    head = data.splitlines()[:100]
    objects = sum(line.lstrip().startswith(b"{") for line in head)
    requests = accesslog.requests(b"\n".join(head))
    if objects > requests:
        return NDJSON(decoder_of(settings)())
    if requests or not any(map(bytes.strip, head)):
        return AccessLog()
    raise ClickwardenError(
        f"{path}: is neither an access log (common or combined format) nor clicks as NDJSON; "
        f"it begins with {head[0][:80]!r}"
    )
