"""Files of all kinds, whose records have the same features as those of a topic."""

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from arro3.core import Array, DataType, Table
from arro3.io import write_parquet

from clickwarden import zstd
from clickwarden.errors import SettingsError
from clickwarden.models.datafile import read
from clickwarden.models.features import Features
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records


def features_of(path: Path, pipeline: Pipeline) -> bytes:
    engine = Features(pipeline)
    return np.concatenate([engine.of(records).values for records in read(path, pipeline)]).tobytes()


@pytest.fixture
def wanted(fraud: Pipeline, transactions: list[bytes]) -> bytes:
    return Features(fraud).of(Records.of_json(fraud, transactions)).values.tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress])
def test_lines_of_json(
    tmp_path: Path, fraud: Pipeline, transactions: list[bytes], wanted: bytes, pack: object
) -> None:
    path = tmp_path / "records"
    path.write_bytes(pack(b"\n".join(transactions)))  # type: ignore[operator]
    assert features_of(path, fraud) == wanted


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_csv(
    tmp_path: Path, fraud: Pipeline, transactions: list[bytes], wanted: bytes, delimiter: str
) -> None:
    rows = [json.loads(value) for value in transactions]
    with (tmp_path / "records.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    assert features_of(tmp_path / "records.csv", fraud) == wanted


def test_parquet(tmp_path: Path, fraud: Pipeline, transactions: list[bytes], wanted: bytes) -> None:
    rows = [json.loads(value) for value in transactions]
    kinds = {float: DataType.float64(), int: DataType.int64(), str: DataType.string()}
    columns = {
        name: Array([row[name] for row in rows], type=kinds[type(value)]) for name, value in rows[0].items()
    }
    write_parquet(Table.from_pydict(dict(columns)), tmp_path / "records.parquet")
    assert features_of(tmp_path / "records.parquet", fraud) == wanted


TABLE = r"""name = "table"
version = 1
[fields]
'a \"c' = { type = "number" }
b = { type = "number" }
[[feature]]
kind = "raw"
field = 'a \"c'
[[feature]]
kind = "raw"
field = "b"
"""


@pytest.mark.parametrize(
    "content",
    [
        b'"a \\""c",b\n1,2\n3,4\n',
        b'\xef\xbb\xbf"a \\""c",b\r\n1,2\r\n3,4\r\n',
        b'"a \\""c"; b\n"1"; 2\n3;4\n',
        b'\xef\xbb\xbf{"a \\\\\\"c": 1, "b": 2}\n{"a \\\\\\"c": "3", "b": "4"}\n',
    ],
)
def test_tables_as_programs_write_them(tmp_path: Path, content: bytes) -> None:
    """With a byte order mark, names in quotes, blanks behind delimiters, and other ends of lines."""
    (tmp_path / "pipeline.toml").write_text(TABLE)
    (tmp_path / "table.csv").write_bytes(content)
    found = np.frombuffer(features_of(tmp_path / "table.csv", Pipeline.load(tmp_path)), np.float32)
    assert found.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "begins with nothing; name a file of NDJSON, CSV or Parquet"),
        (b"card_id,amount\n1,2\n", "has no column 'mcc'; there are card_id, amount"),
        (b"PAR1", "the Parquet file is shorter than it says"),
        (b"PAR1PAR1", "the Parquet file is shorter than it says"),
        (b"PAR1" + b"\xff" * 30 + b"PAR1", "the Parquet file is shorter than it says"),
        (b"PAR1" + bytes(30) + b"\x10\0\0\0PAR1", "cannot be read"),
        ("card_id,amount".encode("utf-16"), "is UTF-16; write it as UTF-8"),
        (b"PK\x03\x04abc", "is a ZIP or a spreadsheet; unpack it"),
        (b'[{"card_id": "a"}]', "is a JSON array; write an object a line"),
        (b"card_id\ramount\r1\r", "is no table"),
        (b"card_id,amount,amount\n1,2,3\n", "has more than one column 'amount'"),
        (b"PAR1" + bytes(99), "the end of the Parquet file is missing"),
        (gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:30], "cannot be unpacked"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(
    tmp_path: Path, fraud: Pipeline, content: bytes, fault: str
) -> None:
    (tmp_path / "records").write_bytes(content)
    with pytest.raises(SettingsError) as raised:
        list(read(tmp_path / "records", fraud))
    assert fault in str(raised.value)


def test_no_file_is_said(tmp_path: Path, fraud: Pipeline) -> None:
    with pytest.raises(SettingsError, match="No such file or directory; name a file that can be read"):
        list(read(tmp_path / "nowhere", fraud))


def test_records_of_something_else_are_refused_with_what_they_are(tmp_path: Path, fraud: Pipeline) -> None:
    path = tmp_path / "sensors.ndjson"
    path.write_text('{"temp": 21.5, "rpm": 900}\n' * 3)
    with pytest.raises(
        SettingsError, match=r"none of its first 3 records has any of the fields of .* is '\{\"temp"
    ):
        next(read(path, fraud))
