"""Records behind the five bytes of a schema registry, and what decoder and recount make of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clickwarden.audit import conditions, reading
from clickwarden.audit.reading import Reader
from clickwarden.detection.clauses import normal, text_of
from clickwarden.detection.clicks import Clicks
from clickwarden.detection.conditions import condition_of
from clickwarden.formats.choice import decoder_of
from clickwarden.formats.clicks import REASONS, Decoder
from clickwarden.formats.records import Fault
from clickwarden.formats.schema import Schema
from clickwarden.settings import Settings

#: What a registry says, by the schema's number.
Answers = Mapping[int, Schema | Fault]


@dataclass(frozen=True)
class Record:
    """As Kafka has it."""

    value: bytes | None
    offset: int = 0
    timestamp: int = 1_700_000_000_000
    timestamp_type: int = 1
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def settings(**given: Any) -> Settings:
    """Those of a topic with a registry."""
    return Settings(_env_file=None, registry_url="http://registry.example", **given)


def avro(written: Any, **references: Any) -> Schema:
    """A schema of Avro, as the registry has it."""
    named = tuple((name, json.dumps(text)) for name, text in references.items())
    return Schema("AVRO", json.dumps(written), named)


def framed(value: bytes, number: int = 1) -> bytes:
    """A value of the schema with this number."""
    return b"\0" + number.to_bytes(4) + value


def decode(answers: Answers, *records: Record, **given: Any) -> Clicks:
    """What the decoder makes of some records."""
    return decode_by(decoder_of(settings(**given))(), answers, records)


def decode_by(decoder: Decoder, answers: Answers, records: Sequence[Record]) -> Clicks:
    """What this one makes of them."""
    with decoder.knowing(answers):
        return decoder.decode(records)


def reader_of(answers: Answers, asked: Iterable[str] = (), **given: Any) -> Reader:
    """The recount's way to read, also these fields."""
    known = {number: answer for number, answer in answers.items() if isinstance(answer, Schema)}
    return Reader(settings(**given), known.get, asked)


def fulfils(answers: Answers, value: bytes, **asked: Any) -> bool:
    """Whether the click that a value holds fulfils what a rule asks of its fields (``.`` is ``__``).

    The recount must find the same in the fields, and judge as the detection does.
    """
    where = normal({name.replace("__", "."): written for name, written in asked.items()})
    record = Record(value)
    decoder = decoder_of(settings())()
    with decoder.knowing(answers):
        decoder.want(where)
        clicks = decoder.decode([record])
    ((found,),) = fates(clicks, [record], where)
    assert agree([found], record, reader_of(answers, where))
    texts = found[3]
    judged = all(condition_of(written)[texts[name]] for name, written in where.items())
    assert conditions.fulfils(where, texts) == judged
    return judged


def fates(clicks: Clicks, records: Sequence[Record], asked: Iterable[str] = ()) -> list[list[Any]]:
    """What became of all that each record holds: user, event, time and fields of a click, or a reason."""
    sizes = [1] * len(records) if clicks.sizes is None else clicks.sizes.tolist()
    found: list[list[Any]] = [["ignored"] * size for size in sizes]
    places = range(len(clicks.users)) if clicks.records is None else clicks.records.tolist()
    elements = [0] * len(clicks.users) if clicks.elements is None else clicks.elements.tolist()
    fields = {name: list(map(text_of, clicks.column(name))) for name in asked}
    said = [{name: column[click] for name, column in fields.items()} for click in range(len(clicks.users))]
    columns = zip(clicks.users, clicks.events, clicks.times.tolist(), said, strict=True)
    for place, element, columned in zip(places, elements, columns, strict=True):
        found[place][element] = columned
    for bad in clicks.rejected:
        assert bad.reason in REASONS
        assert (bad.element is None) == (sizes[bad.record] == 1)
        assert bad.element is not None or bad.value == records[bad.record].value
        found[bad.record][bad.element or 0] = bad.reason
    assert sum(fate == "ignored" for record in found for fate in record) == clicks.ignored
    assert sum(sizes) == len(clicks.users) + len(clicks.rejected) + clicks.ignored
    return found


def agree(found: Sequence[Any], record: Record, reader: Reader) -> bool:
    """Whether the recount makes the same of a record as the decoder."""
    names: dict[type, str] = {reading.Ignored: "ignored", reading.Refused: "refused"}
    again = [names.get(type(thing), thing) for thing in reader.read(record)]
    return again == [fate if fate == "ignored" or isinstance(fate, tuple) else "refused" for fate in found]


def users(answers: Answers, value: bytes | Record, **given: Any) -> list[str]:
    """The users that a record holds, or why there is none; the recount must say the same."""
    record = value if isinstance(value, Record) else Record(value)
    (found,) = fates(decode(answers, record, **given), [record])
    assert agree(found, record, reader_of(answers, **given))
    return [fate if isinstance(fate, str) else fate[0] for fate in found if fate != "ignored"]
