"""What the records of a pipeline's topic say that has happened."""

from collections.abc import Sequence

import numpy as np

from clickwarden.formats import debezium
from clickwarden.formats.fields import Record
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records

#: Received by the broker's own clock (KIP-32).
BY_BROKER = 1


def happened(pipeline: Pipeline, records: Sequence[Record]) -> tuple[Sequence[Record], Records]:
    """Those of some records that say that something happened, and what they hold.

    Of a captured table that are its inserts; of another topic, all of them.
    """
    if pipeline.format == "json":
        return records, Records.of_json(pipeline, [record.value for record in records], _received(records))
    changes = [(record, debezium.change_of(record, pipeline.numbers)) for record in records]
    records = [record for record, change in changes if change.new]
    rows = (change.row for _, change in changes if change.new)
    return records, Records.of(pipeline, rows, _received(records))


def _received(records: Sequence[Record]) -> list[float]:
    """When Kafka received each, epoch seconds; NaN where it does not say."""
    return [record.timestamp / 1000 if record.timestamp_type == BY_BROKER else np.nan for record in records]
