"""Values behind the five bytes of a schema registry [1]_: 0, and the number of their schema.

Which schema that is, the registry says, which nobody here can ask: whoever wants records decoded is told
which schemas are missing, and hands them in.

.. [1] https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from clickwarden.errors import ClickError, SchemasMissing
from clickwarden.formats import avro, protobuf
from clickwarden.formats.fields import Record
from clickwarden.formats.json import FRAME
from clickwarden.formats.records import Fault
from clickwarden.formats.schema import Schema

#: A value as JSON, or why it is none; None: a tombstone.
Content = bytes | Fault | None
_Reader = Callable[[bytes], bytes]

#: The header in which newer producers may name the schema, with nothing before the value.
HEADER = "__value_schema_id"


def _bare(value: bytes) -> bytes:
    return value


_KINDS: dict[str, Callable[[Schema], _Reader]] = {
    "AVRO": avro.reader,
    "PROTOBUF": protobuf.reader,
    "JSON": lambda _: _bare,
}


class Framing:
    """Makes JSON of values whose schemas are known."""

    def __init__(self) -> None:
        self._readers: dict[int, _Reader | Fault] = {}
        self._unknown: Mapping[int, Fault] = {}

    @contextmanager
    def knowing(self, answers: Mapping[int, Schema | Fault]) -> Iterator[None]:
        """Know these schemas from now on; and until the end of it, that the registry knows others not."""
        for number, answer in answers.items():
            if isinstance(answer, Schema) and number not in self._readers:
                self._readers[number] = _reader(answer, number)
        self._unknown = {number: answer for number, answer in answers.items() if isinstance(answer, Fault)}
        try:
            yield
        finally:
            self._unknown = {}

    def contents(self, records: Sequence[Record]) -> list[Content]:
        """What the records hold, as JSON.

        Raises:
            SchemasMissing: some are of schemas that are not known here.
        """
        contents: list[Content] = [record.value for record in records]
        missing: dict[int, float] = {}
        for position, (value, record) in enumerate(zip(contents, records, strict=True)):
            if not isinstance(value, bytes):
                continue
            if value[:1] != b"\0" or len(value) < FRAME:
                if record.headers and value[:1] not in (b"{", b"[") and HEADER in dict(record.headers):
                    contents[position] = _NAMED_ELSEWHERE
                continue
            number = int.from_bytes(value[1:FRAME])
            read = self._readers.get(number) or self._unknown.get(number)
            if read is None:
                missing[number] = max(missing.get(number, 0.0), record.timestamp / 1000.0)
            elif isinstance(read, Fault):
                contents[position] = read
            elif not missing:
                contents[position] = _read(read, value[FRAME:])
        if missing:
            raise SchemasMissing(missing)
        return contents


_NAMED_ELSEWHERE = Fault("unknown_schema", f"it is named in the header {HEADER}, and not before the value")


def _reader(schema: Schema, number: int) -> _Reader | Fault:
    make = _KINDS.get(schema.kind)
    if make is None:
        return Fault("unusable_schema", f"schema {number} is of the type {schema.kind:.40}")
    try:
        return make(schema)
    except ClickError as error:
        return Fault(error.reason, f"schema {number}: {error.detail}"[:200])


def _read(read: _Reader, value: bytes) -> Content:
    try:
        return read(value)
    except ClickError as error:
        return Fault(error.reason, error.detail)
