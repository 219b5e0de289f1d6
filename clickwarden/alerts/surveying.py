"""Surveys of a topic, of records in a file, and of a web server's log."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from aiokafka import ConsumerRecord

from clickwarden.alerts.sight import shortened
from clickwarden.alerts.survey import (
    SHOWN,
    SURVEYED,
    FoundField,
    Survey,
    Surveyed,
    rejection_of,
    seen_by,
    shown,
    span_of,
)
from clickwarden.alerts.words import plural, visible
from clickwarden.detection.rules import Rule
from clickwarden.formats.cures import cure
from clickwarden.formats.json import FRAME
from clickwarden.formats.lines import Block
from clickwarden.formats.ndjson import Line
from clickwarden.formats.recognition import Recognised
from clickwarden.kafka import inspection
from clickwarden.kafka.findings import WatchedTopic, findings
from clickwarden.kafka.registry import TopicDecoder
from clickwarden.settings import Settings
from clickwarden.times import isotime


async def of_topic(settings: Settings, rules: Sequence[Rule]) -> Survey:
    """What the newest records of the clicks topic are, whatever the settings say of their fields.

    Raises:
        BrokerError: Kafka does not answer, or has no such topic.
        AccessError: it refuses us, or the right to read it.
        RegistryError: the schema registry does not answer.
    """
    partitions, runs = await inspection.newest(settings, SURVEYED)
    config = await inspection.configuration(settings)
    name, decoder = settings.clicks_topic, TopicDecoder(settings)
    if not any(runs.values()):
        return Survey(
            f"topic {name}", 0, warnings=[f"topic {name} is empty: send some records, then look again"]
        )

    def survey() -> Survey:
        opened = {partition: _opened(run, decoder) for partition, run in runs.items()}
        surveyed = Surveyed(opened, rules, settings, in_kafka=True)
        records = sum(map(len, runs.values()))
        found = surveyed.survey(
            f"topic {name}: the newest {plural(records, 'record')} of {plural(partitions, 'partition')}"
        )
        if settings.registry_url and (schemas := _schemas(runs.values())):
            found.facts["framing"] = f"five bytes of a schema registry: {plural(len(schemas), 'schema')} " + (
                ", ".join(map(str, schemas[:SHOWN]))
            )
        sample = list(surveyed.sample())
        topic = WatchedTopic(name, settings.bootstrap, partitions, config, sample)
        found.findings = findings(topic, max((rule.window for rule in rules), default=0), partitions)
        return found

    return await asyncio.to_thread(survey)


def _schemas(runs: Iterable[Sequence[ConsumerRecord]]) -> list[int]:
    """Numbers of the schemas that the records say they are of, ascending."""
    values = (record.value or b"" for run in runs for record in run)
    return sorted({int.from_bytes(value[1:FRAME]) for value in values if value[:1] == b"\0"})


def _opened(run: Sequence[ConsumerRecord], decoder: TopicDecoder) -> list[ConsumerRecord]:
    """The records with their values as JSON, where a registry says how."""
    return [
        replace(record, value=content) if isinstance(content, bytes) else record
        for record, content in zip(run, decoder.contents(run), strict=True)
    ]


def of_file(
    source: str, lines: Sequence[bytes], now: float, rules: Sequence[Rule], settings: Settings
) -> Survey:
    """What the lines of a file are, each taken for a record that Kafka received ``now``, epoch seconds."""
    records = [Line(number, int(now * 1000), line) for number, line in enumerate(lines, 1) if line.strip()]
    return Surveyed({0: records}, rules, settings, in_kafka=False).survey(source)


def of_log(
    source: str, log: Recognised, block: Block, rules: Sequence[Rule], doubts: Sequence[str]
) -> Survey:
    """What a web server's log holds, which needs no setting to be read.

    Args:
        source: what was looked at, in words.
        log: its format.
        block: its lines, without what is left out.
        rules: in effect.
        doubts: why its clients may be none, in words.
    """
    clicks = block.clicks
    events = Counter(clicks.events)
    places = {role: ".".join(path) for role, path in log.fields.items()}
    missing = len(clicks.rejected)
    unread = (
        [f"{missing:,} of {block.lines:,} lines are in another format"] if 10 * missing > block.lines else []
    )
    found = Survey(source, block.lines, {log.name: block.lines - block.blank - missing})
    found.fields = [
        _field_of_log(
            "user_id", places.get("client", "the client's address"), clicks.users, [*unread, *doubts]
        ),
        _field_of_log("event", "what the request is", list(events), []),
        _field_of_log(
            "timestamp",
            places.get("time", "the time of the request"),
            map(isotime, clicks.times[:SHOWN]),
            unread,
        ),
        _field_of_log("product_id", "the path", [str(product) for product in clicks.products[:99]], []),
    ]
    found.clicks = len(clicks.users)
    found.ignored = block.left_out.total()
    found.rejected = [
        rejection_of(
            reason,
            count,
            next(one.value for one in clicks.rejected if one.reason == reason),
            cure(reason, b"", {}),
        )
        for reason, count in Counter(one.reason for one in clicks.rejected).most_common()
    ]
    found.examples = list(islice(shown(clicks), SHOWN))
    found.rules = seen_by(rules, events)
    if block.left_out:
        told = ", ".join(f"{count:,} ({what})" for what, count in block.left_out.items())
        found.facts["left out"] = f"{told}; --everything counts them too"
    if "forwarded" in places:
        found.facts["X-Forwarded-For"] = f"{places['forwarded']}, which is read with --trusted-proxies"
    if found.clicks:
        found.facts["times"] = span_of(clicks)
    found.warnings = [f"user_id: {doubt}" for doubt in found.fields[0].doubts]
    return found


def _field_of_log(name: str, place: str, values: Iterable[str], doubts: list[str]) -> FoundField:
    examples = [shortened(visible(value), 40) for value in islice(dict.fromkeys(values), SHOWN)]
    confidence = "likely" if doubts or not examples else "sure"
    return FoundField(name, visible(place), confidence, "so the format has it", examples, doubts)
