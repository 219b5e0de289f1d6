"""Files become clicks: which lines, which events, and what a bad line does."""

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from clickwarden.detection import rulesfile
from clickwarden.errors import ClickwardenError
from clickwarden.formats.lines import Block
from clickwarden.formats.recognition import Reading
from clickwarden.settings import Settings
from clickwarden.sources import files

SAMPLE = Path(__file__).parents[3] / "examples" / "access.log"
LINE = '{} - - [{}] "{}" 200 17 "http://shop/" "Mozilla/5.0"\n'
AT = "18/May/2015:08:05:43 +0000"


def read(path: Path) -> list[Block]:
    return list(files.read(path, Settings(), Reading(everything=True)))


def rows(path: Path) -> Iterator[tuple[str, str, str | int | None, float]]:
    for block in read(path):
        clicks = block.clicks
        yield from zip(clicks.users, clicks.events, clicks.products, clicks.times.tolist(), strict=True)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def test_the_sample_log_holds_two_minutes_of_a_bot() -> None:
    minutes = Counter((user, int(time // 60 * 60)) for user, _, _, time in rows(SAMPLE))
    assert minutes.total() == 5000
    assert {minute: count for minute, count in minutes.items() if count > 50} == {
        ("75.97.9.59", 1431936300): 108,
        ("75.97.9.59", 1431939900): 84,
    }


def test_the_sample_log_holds_no_other_anomaly() -> None:
    found = set()
    for rule in rulesfile.load(Path("rules.toml")):
        windows = Counter(
            (user, int(time // rule.window))
            for user, event, _, time in rows(SAMPLE)
            if not rule.events or event in rule.events
        )
        found |= {(rule.name, user) for (user, _), count in windows.items() if count > rule.threshold}
    assert found == {("bot", "75.97.9.59")}


@pytest.mark.parametrize(
    ("request_line", "event", "product"),
    [
        ("GET /shop/7?color=red HTTP/1.1", "view", "/shop/7"),
        ("HEAD / HTTP/1.0", "view", "/"),
        ("GET /login HTTP/1.1", "view", "/login"),
        ("POST /wp-login.php HTTP/1.1", "login", "/wp-login.php"),
        ("POST /api/v1/session?x=1 HTTP/2.0", "login", "/api/v1/session"),
        ("PUT /login HTTP/1.1", "submit", "/login"),
        ("POST /cart HTTP/1.1", "submit", "/cart"),
        ("DELETE /cart/7 HTTP/1.1", "submit", "/cart/7"),
        ("OPTIONS * HTTP/1.1", "other", "*"),
        (r"\x16\x03\x01", "other", None),
        ("-", "other", None),
        (r"GET /a\"b HTTP/1.1", "view", r"/a\"b"),
    ],
)
def test_event_and_product_of_a_request(
    log: Path, request_line: str, event: str, product: str | None
) -> None:
    log.write_text(LINE.format("::1", AT, request_line))
    assert list(rows(log)) == [("::1", event, product, 1431936343.0)]


@pytest.mark.parametrize(
    "line",
    [
        f'10.0.0.1 - frank [{AT}] "GET / HTTP/1.0" 200 2326\n',
        f'10.0.0.1 - two words [{AT}] "GET / HTTP/1.0" 200 2326\r\n',
        '10.0.0.1 - - [18/May/2015:10:05:43 +0200] "GET / HTTP/1.0" 304 -',
        '10.0.0.1 - - [18/May/2015:03:35:43 -0430] "GET / HTTP/1.0" 304 -\n',
    ],
    ids=["common", "user with a blank, CRLF", "east, no newline", "west"],
)
def test_common_format_and_zones(log: Path, line: str) -> None:
    log.write_bytes(line.encode())
    assert list(rows(log)) == [("10.0.0.1", "view", "/", 1431936343.0)]


def test_bad_lines_are_named_and_stop_nothing(log: Path) -> None:
    good = LINE.format("10.0.0.1", AT, "GET / HTTP/1.1")
    bad_date = LINE.format("10.0.0.1", "31/Feb/2015:08:05:43 +0000", "GET / HTTP/1.1")
    nameless = LINE.format("x" * 257, AT, "GET / HTTP/1.1")
    log.write_text(good + "garbage\n" + "\n" + bad_date + nameless + good)
    (block,) = read(log)
    assert [number for number, _ in block.bad] == [2, 4, 5]
    assert len(block.clicks.users) == 2
    assert block.lines == 6


def test_line_numbers_go_on_across_blocks(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BLOCK_BYTES", 100)
    good = LINE.format("10.0.0.1", AT, "GET / HTTP/1.1")
    log.write_text(good * 500 + "garbage\n" + good * 500 + "garbage\n")
    blocks = read(log)
    assert len(blocks) > 100
    assert [number for block in blocks for number, _ in block.bad] == [501, 1002]
    assert sum(len(block.clicks.users) for block in blocks) == 1000
    assert blocks[-1].read == log.stat().st_size


def test_an_endless_line_costs_itself_and_little_memory(log: Path) -> None:
    good = LINE.format("10.0.0.1", AT, "GET / HTTP/1.1")
    log.write_text(good + "x" * 1_000_000 + "\n" + good)
    assert [user for user, *_ in rows(log)] == ["10.0.0.1", "10.0.0.1"]


def test_bytes_that_are_no_utf8_stay_apart(log: Path) -> None:
    line = LINE.format("10.0.0.1", AT, "GET /{} HTTP/1.1").encode()
    log.write_bytes(line.replace(b"{}", b"\xe9") + line.replace(b"{}", b"\xe8"))
    assert [product for _, _, product, _ in rows(log)] == ["/\\xe9", "/\\xe8"]


def test_gzip_is_seen_by_its_content(log: Path) -> None:
    log.write_bytes(gzip.compress(SAMPLE.read_bytes()))
    assert list(rows(log)) == list(rows(SAMPLE))


def test_half_a_gzip_file_says_so(log: Path) -> None:
    log.write_bytes(gzip.compress(SAMPLE.read_bytes())[:-1000])
    with pytest.raises(ClickwardenError, match="cannot be read"):
        read(log)


def test_ndjson_follows_the_rules_of_the_topic(log: Path) -> None:
    log.write_text(
        '{"user_id": "u", "event": "view", "product_id": "p", "timestamp": 1431936343000}\n'
        "\n"
        '{"user_id": "u", "event": "view", "timestamp": "2015-05-18T08:05:43Z"}\n'
        '{"user_id": "", "event": "view", "timestamp": 1431936343}\n'
        "nonsense\n"
        '{"user_id": "u", "event": "view", "timestamp": 99999999999}'
    )
    blocks = read(log)
    assert [user for block in blocks for user in block.clicks.users] == ["u", "u"]
    assert [time for block in blocks for time in block.clicks.times] == [1431936343.0, 1431936343.0]
    assert [(number, reason.partition(":")[0]) for block in blocks for number, reason in block.bad] == [
        (4, "empty_user_id"),
        (5, "not_json"),
        (6, "future"),
    ]


def test_another_format_is_refused(log: Path) -> None:
    log.write_text("lorem ipsum\n1,2,3\n")
    with pytest.raises(ClickwardenError, match="neither an access log"):
        read(log)


def test_an_empty_file_has_no_clicks(log: Path) -> None:
    log.touch()
    assert read(log) == []
