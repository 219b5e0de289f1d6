"""Rows of CSV, Parquet and Avro become clicks as lines of NDJSON do, whatever their types."""

import bz2
import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

import fastavro
import numpy as np
import pytest
from arro3.core import Array, DataType, Field, Table, struct_array
from arro3.io import write_parquet

from clickwarden.errors import ClickwardenError, SettingsError
from clickwarden.formats.recognition import Reading
from clickwarden.settings import Settings
from clickwarden.sources import files

AT = 1431936343
TEXT, WHOLE = DataType.string(), DataType.int64()
NAMED: dict[str, Any] = {"field_user_id": "uid", "field_event": "kind", "field_timestamp": "at"}


def rows(path: Path, *, reading: Reading | None = None, **names: Any) -> list[tuple[str, str, Any, float]]:
    settings = Settings(_env_file=None, **names)
    return [
        row
        for block in files.read(path, settings, reading)
        for row in zip(
            block.clicks.users,
            block.clicks.events,
            block.clicks.products,
            block.clicks.times.tolist(),
            strict=True,
        )
    ]


def bad(path: Path) -> list[tuple[int, str]]:
    blocks = files.read(path, Settings(_env_file=None))
    return [(number, reason.partition(":")[0]) for block in blocks for number, reason in block.bad]


def parquet(path: Path, **columns: Any) -> Path:
    write_parquet(Table.from_pydict(columns), path)
    return path


def texts(*values: str | None) -> Any:
    return Array(values, TEXT)


def whole(*values: int | None) -> Any:
    return Array(values, WHOLE)


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("name", ["clicks.csv", "clicks"])
@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, bz2.compress, lambda data: b"\xef\xbb\xbf" + data],
    ids=["plain", "gzip", "bzip2", "byte order mark"],
)
def test_csv_is_read_by_its_header(
    tmp_path: Path, delimiter: str, name: str, pack: Callable[[bytes], bytes]
) -> None:
    lines = [
        "n,timestamp,user_id,event,product_id",
        f"1,{AT},007,view,shoes",
        f'2,2015-05-18 08:05:43,"Ann ""A"" Doe",search,"two\nlines{delimiter}"',
        "",
        f"3,{AT}500,bob,login,",
    ]
    text = "\r\n".join(line.replace(",", delimiter) for line in lines)
    (tmp_path / name).write_bytes(pack(text.encode()))
    assert rows(tmp_path / name) == [
        ("007", "view", "shoes", AT),
        ('Ann "A" Doe', "search", f"two\nlines{delimiter}", AT),
        ("bob", "login", None, AT + 0.5),
    ]


def test_a_row_that_is_none_is_rejected_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    good = f"ann,view,{AT}\n"
    path.write_text(
        "user_id,event,timestamp\n" + good + "ann,view\n" + f"a,b,view,{AT}\n" + ",view,1\n" + good
    )
    assert bad(path) == [(3, "not_json"), (4, "not_json"), (5, "missing_field")]
    assert len(rows(path)) == 2


def test_a_csv_of_many_blocks_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BLOCK_BYTES", 100)
    path = tmp_path / "clicks.csv"
    path.write_text("user_id,event,timestamp\n" + "".join(f'"a\n{n}",view,{AT + n}\n' for n in range(20_000)))
    assert rows(path) == [(f"a\n{n}", "view", None, AT + n) for n in range(20_000)]


UNITS: dict[Literal["s", "ms", "us", "ns"], int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
MOMENTS = {
    "seconds": (whole(AT), AT),
    "milliseconds": (whole(AT * 1000 + 500), AT + 0.5),
    "double": (Array(np.array([AT + 0.25])), AT + 0.25),
    "text": (texts("2015-05-18T08:05:43Z"), AT),
    "date": (Array([AT // 86400], DataType.int32()).cast(DataType.date32()), AT // 86400 * 86400),
    **{
        f"timestamp[{unit}, {zone}]": (
            whole(AT * scale + scale // 2).cast(DataType.timestamp(unit, tz=zone)),
            AT + (scale // 2) / scale,
        )
        for unit, scale in UNITS.items()
        for zone in (None, "UTC", "+02:00", "Europe/Berlin")
    },
}


@pytest.mark.parametrize("kind", MOMENTS)
def test_a_time_of_any_type_of_parquet_is_the_moment(tmp_path: Path, kind: str) -> None:
    column, moment = MOMENTS[kind]
    path = parquet(tmp_path / "x", user_id=texts("ann"), event=texts("view"), timestamp=column)
    assert rows(path) == [("ann", "view", None, moment)]


def test_a_user_of_any_type_of_parquet_is_text(tmp_path: Path) -> None:
    for column, user in (
        (whole(2**62 + 1), str(2**62 + 1)),
        (texts("ann"), "ann"),
        (texts("ann").cast(DataType.dictionary(DataType.int32(), TEXT)), "ann"),
        (Array([b"ann"], DataType.binary()), "ann"),
    ):
        path = parquet(tmp_path / "x", user_id=column, event=texts("view"), timestamp=whole(AT))
        assert rows(path) == [(user, "view", None, AT)]


def test_fields_of_parquet_are_found_by_paths_and_the_first_that_is_there(tmp_path: Path) -> None:
    traits = struct_array([texts("ann", None)], fields=[Field("id", TEXT, nullable=True)])
    path = parquet(
        tmp_path / "x",
        context=traits,
        device=texts("a", "b"),
        kind=texts("view", "view"),
        at=whole(AT, AT + 1),
        sku=texts(None, "p"),
    )
    names = NAMED | {"field_user_id": "context.id|device", "field_product_id": "sku"}
    assert rows(path, **names) == [("ann", "view", None, AT), ("b", "view", "p", AT + 1)]


@pytest.mark.parametrize("name", ["clicks.parquet", "clicks.avro", "clicks.csv"])
def test_a_column_that_does_not_exist_is_named_with_those_that_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    row = {"uid": "ann", "kind": "view", "at": AT}
    if name.endswith("csv"):
        path.write_text("uid,kind,at\nann,view,1431936343\n")
    elif name.endswith("avro"):
        avro(path, [row])
    else:
        parquet(path, uid=texts("ann"), kind=texts("view"), at=whole(AT))
    with pytest.raises(ClickwardenError) as caught:
        rows(path, **NAMED | {"field_user_id": "user"})
    assert str(caught.value) == (
        f"{path}: has no column user (--user names another); its columns are uid, kind, at; "
        "'faust -A app inspect FILE' says which of them hold what"
    )
    with pytest.raises(ClickwardenError, match=r"no column sku \(--product names another"):
        rows(path, **NAMED, field_product_id="sku")
    assert rows(path, **NAMED) == [("ann", "view", None, AT)]


def test_an_access_log_in_a_table_is_recognised_as_one(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(
        'time,remote_addr,request,status\n2015-05-18T08:05:43Z,203.0.113.9,"POST /login HTTP/1.1",401\n'
    )
    assert rows(path) == [("203.0.113.9", "login_failed", "/login", AT)]
    with pytest.raises(ClickwardenError, match="has no column user_id"):
        rows(path, reading=Reading(named=True))


SCHEMA = {
    "type": "record",
    "name": "Click",
    "fields": [
        {"name": "uid", "type": ["null", "string", "long", "bytes"]},
        {"name": "kind", "type": "string"},
        {"name": "at", "type": ["long", {"type": "long", "logicalType": "timestamp-millis"}]},
    ],
}


def avro(path: Path, records: list[dict[str, Any]]) -> None:
    with path.open("wb") as file:
        fastavro.writer(file, SCHEMA, records, codec="deflate")


def test_avro_is_read_also_packed_and_from_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "clicks+0+0000000000.avro"
    moment = datetime.fromtimestamp(AT, timezone(timedelta(hours=2))) + timedelta(milliseconds=250)
    avro(
        path,
        [
            {"uid": "ann", "kind": "view", "at": AT},
            {"uid": 7, "kind": "view", "at": moment},
            {"uid": b"bob", "kind": "login", "at": AT * 1000},
        ]
        * 5000,
    )
    expected = [("ann", "view", None, AT), ("7", "view", None, AT + 0.25), ("bob", "login", None, AT)] * 5000
    assert rows(path, **NAMED) == expected
    (tmp_path / "packed").write_bytes(gzip.compress(path.read_bytes()))
    assert rows(tmp_path / "packed", **NAMED) == expected


def test_a_broken_table_is_said_to_be_one(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x", user_id=texts("a"), event=texts("b"), timestamp=whole(AT))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ClickwardenError, match="x: cannot be read: the end of the Parquet file is missing"):
        rows(path)
    avro(path, [{"uid": "ann", "kind": "view", "at": AT}] * 1000)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ClickwardenError, match="x: cannot be read"):
        rows(path, **NAMED)
    path.write_bytes(gzip.compress(b"PAR1"))
    with pytest.raises(ClickwardenError, match="must be a file, and unpacked"):
        rows(path)


@pytest.mark.parametrize(
    ("magic", "package"), [(b"PAR1", "arro3-io"), (b"Obj\1", "fastavro")], ids=["Parquet", "Avro"]
)
def test_what_is_not_installed_is_named(
    tmp_path: Path, magic: bytes, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("arro3.core", "fastavro"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "x").write_bytes(magic)
    with pytest.raises(ClickwardenError, match=f"x: is an? .*'pip install {package}'"):
        rows(tmp_path / "x")


def test_memory_does_not_grow_with_a_parquet_file(tmp_path: Path) -> None:
    code = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from clickwarden.settings import Settings\n"
        "from clickwarden.sources import files\n"
        "lines = sum(b.lines for b in files.read(Path(sys.argv[1]), Settings(_env_file=None)))\n"
        "print(lines, re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])\n"
    )
    peak = []
    for size in (50_000, 500_000):
        numbers = np.arange(size)
        users = Array([f"user-{number * 7919 % 1_000_003}" for number in range(size)], TEXT)
        table = Table.from_pydict(
            {"user_id": users, "event": users, "timestamp": Array(AT + numbers), "other": users}
        )
        write_parquet(table, tmp_path / "x", max_row_group_size=50_000)
        said = subprocess.run(
            (sys.executable, "-c", code, str(tmp_path / "x")), capture_output=True, check=True
        )
        lines, kilobytes = map(int, said.stdout.split())
        assert lines == size
        peak.append(kilobytes)
    assert peak[1] < peak[0] + 16_384


def test_a_folder_is_the_files_of_data_in_it(tmp_path: Path) -> None:
    day = tmp_path / "topics" / "clicks" / f"day={date(2015, 5, 18)}"
    day.mkdir(parents=True)
    for name in ("clicks+1+0000000000.json", "clicks+0+0000000000.json.gz", "part-0.parquet"):
        (day / name).touch()
    for name in ("_SUCCESS", ".part-0.parquet.crc", "clicks+0+0000000000.keys.json", "x.headers.avro"):
        (day / name).touch()
    assert [file.name for file in files.found([tmp_path])] == [
        "clicks+0+0000000000.json.gz",
        "clicks+1+0000000000.json",
        "part-0.parquet",
    ]
    assert files.found([tmp_path / "**" / "*.gz"]) == [day / "clicks+0+0000000000.json.gz"]
    (tmp_path / "empty").mkdir()
    for wrong in ("empty", "nothing", "*.none"):
        with pytest.raises(SettingsError, match=r"no such file|is a folder without"):
            files.found([tmp_path / wrong])


def test_a_dump_of_several_formats_is_one_stream_in_order(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", user_id=texts("c"), event=texts("view"), timestamp=whole(AT + 2))
    (tmp_path / "b.csv").write_text(f"user_id,event,timestamp\nb,view,{AT + 1}\n")
    line = json.dumps({"user_id": "a", "event": "view", "timestamp": AT})
    (tmp_path / "c+0+0.json.gz").write_bytes(gzip.compress(line.encode()))
    blocks = files.read_all(files.found([tmp_path]), Settings(_env_file=None))
    assert [user for block in blocks for user in block.clicks.users] == ["a", "b", "c"]
    assert datetime.fromtimestamp(AT, UTC).year == 2015


@pytest.mark.parametrize("time", ["1760000001", "2025-10-09T08:53:21Z", "09.10.2025 08:53"])
def test_a_table_without_names_of_columns_is_refused(tmp_path: Path, time: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"ann,view,{time}\nbob,view,{time}\n")
    with pytest.raises(
        ClickwardenError, match=r"x\.csv: begins with values .* is a time\): write a first line"
    ):
        rows(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04\x14\x00\r\x01,\x02", "is a zip archive: unpack it first"),
        (b"a\rb,c", "is neither"),
        (b"when,who,what\n1,2,3\n", "may be a table, with the columns when,who,what: --user, --event and"),
    ],
    ids=["zip", "carriage return", "columns"],
)
def test_what_is_no_text_is_no_table_and_no_traceback(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "export"
    path.write_bytes(content)
    with pytest.raises(ClickwardenError, match=words):
        rows(path)
