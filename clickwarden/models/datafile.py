"""Files of records: NDJSON, CSV with a header, Parquet and Avro, packed by gzip or zstd or not."""

import codecs
import gzip
import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, cast

from clickwarden import zstd
from clickwarden.errors import SettingsError
from clickwarden.formats.tables import (
    AVRO,
    CSV,
    DELIMITERS,
    PARQUET,
    Avro,
    Parquet,
    Table,
    Unreadable,
    spelled,
)
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records, read_of

#: Records that are handed over at once, at most.
PIECE = 8192
#: Bytes of a record that are shown.
SHOWN = 120
#: The longest line in bytes; a longer one is cut, and so is no record.
_LINE_MAX = 1 << 20
#: What files of records often are, and what to do then.
_OTHERS = {
    codecs.BOM_UTF16_LE: "UTF-16; write it as UTF-8",
    codecs.BOM_UTF16_BE: "UTF-16; write it as UTF-8",
    b"PK\x03\x04": "a ZIP or a spreadsheet; unpack it, or write it as CSV",
    b"[": "a JSON array; write an object a line (jq -c '.[]')",
}
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def read(path: Path, pipeline: Pipeline) -> Iterator[Records]:
    """The records of a file in their order, some thousand at once.

    Raises:
        SettingsError: it cannot be read, is no such file, or has no column for a field.
    """
    found = lines(path, pipeline)
    names = [
        json.dumps(name, ensure_ascii=plain).encode() for name in pipeline.fields for plain in (True, False)
    ]
    is_first = True
    while piece := list(islice(found, PIECE)):
        if is_first and not any(name in line for line in piece for name in names):
            raise SettingsError(
                f"{path}: none of its first {len(piece):,} records has any of the fields of "
                f"{pipeline.folder}/pipeline.toml, {spelled(list(pipeline.fields))}; the first is "
                f"{piece[0][:SHOWN].decode(errors='replace')!r}"
            )
        is_first = False
        yield Records.of_json(pipeline, piece)


def lines(path: Path, pipeline: Pipeline) -> Iterator[bytes]:
    """The records of a file in their order, each as a line of NDJSON; of a table what the pipeline reads.

    Raises:
        SettingsError: it cannot be read, is no such file, or has no column for a field.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4)
            file.seek(0)
            if head in (PARQUET, AVRO):
                table: Table = Parquet(file) if head == PARQUET else Avro(file)
                yield from _rows(table, path, pipeline)
                return
            read = _lines(_unpacked(file, head))
            first = next(read, b"").removeprefix(codecs.BOM_UTF8)
            for begin, what in _OTHERS.items():
                if first.startswith(begin):
                    raise SettingsError(f"{path}: is {what}")
            if first.lstrip()[:1] == b"{":
                yield from _some(chain([first], read))
            elif first.strip():
                delimiter = max(DELIMITERS, key=first.decode(errors="replace").count)
                yield from _rows(CSV(chain([first], read), delimiter), path, pipeline)
            else:
                raise SettingsError(f"{path}: begins with nothing; name a file of NDJSON, CSV or Parquet")
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}; name a file that can be read") from None
    except (EOFError, zstd.ZstdError) as error:
        raise SettingsError(f"{path}: cannot be unpacked: {error}; fetch it again") from None
    except Unreadable as error:
        raise SettingsError(f"{path}: {error}") from None


def _unpacked(file: BinaryIO, head: bytes) -> BinaryIO:
    if head.startswith(_GZIP):
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    return cast(BinaryIO, zstd.ZstdFile(file)) if head == _ZSTD else file


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(_LINE_MAX):
        yield line


def _rows(table: Table, path: Path, pipeline: Pipeline) -> Iterator[bytes]:
    wanted = read_of(pipeline)
    optional = {pipeline.id, pipeline.label}
    for name in wanted:
        if table.columns.count(name) > 1:
            raise SettingsError(f"{path}: has more than one column {name!r}; call the others otherwise")
        if name not in table.columns and name not in optional:
            raise SettingsError(
                f"{path}: has no column {name!r}; there are {spelled(table.columns)}; call the field as "
                "one of them"
            )
    yield from _some(line for piece in table.lines(wanted) for line in piece.splitlines())


def _some(read: Iterable[bytes]) -> Iterator[bytes]:
    """Lines but for those that are blank."""
    return (line for line in read if not line.isspace() and line)
