"""What has happened, by the records of a pipeline's topic: scored and trained anew, they are read alike."""

import json
from pathlib import Path

import numpy as np

from clickwarden.models.happened import happened
from clickwarden.models.pipeline import Pipeline
from tests.site import ReadRecord


def record(offset: int, value: object, stamped: int = 1) -> ReadRecord:
    return ReadRecord(0, offset, 1_000, stamped, None, json.dumps(value).encode(), ())


def pipeline(folder: Path, form: str) -> Pipeline:
    (folder / "pipeline.toml").write_text(
        f'name = "cards"\nversion = 1\ntopic = "t"\nformat = "{form}"\nkey = "card"\ntime = "at"\n'
        '[fields]\namount = { type = "number" }\n[[feature]]\nkind = "raw"\nfield = "amount"\n'
    )
    return Pipeline.load(folder)


def test_all_records_of_a_topic_and_of_a_captured_table_what_is_inserted(tmp_path: Path) -> None:
    row = {"card": "a", "at": 7, "amount": 3.5}
    (one, other), read = happened(pipeline(tmp_path, "json"), [record(0, row), record(1, row, stamped=0)])
    assert (one.offset, other.offset, len(read.keys)) == (0, 1, 2)
    changes = [record(n, {"before": None, "after": row, "op": op}) for n, op in enumerate("rcud")]
    found, read = happened(pipeline(tmp_path, "debezium"), changes)
    assert [each.offset for each in found] == [1]
    assert read.keys == ["a"]
    assert np.asarray(read.columns["amount"]).tolist() == [3.5]
