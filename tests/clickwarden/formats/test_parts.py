"""Lines of 16 KiB and more, as Docker and Kubernetes write them: in parts, which are one request again."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clickwarden.settings import Settings
from clickwarden.sources import files, tail

SIZE = 16 * 1024
CADDY = (
    '{{"ts":1773152400,"request":{{"remote_ip":"203.0.113.{}","method":"GET","uri":"/p/{}"}},"status":200}}'
)
COMBINED = '203.0.113.{} - - [10/Mar/2026:14:20:00 +0000] "GET /p/{} HTTP/1.1" 200 5 "-" "x"'


def cri(text: str, stream: str = "stdout") -> list[str]:
    parts = [text[at : at + SIZE] for at in range(0, len(text), SIZE)]
    tags = ["P"] * (len(parts) - 1) + ["F"]
    return [f"2026-03-10T14:20:00.5Z {stream} {tag} {part}" for tag, part in zip(tags, parts, strict=True)]


def docker(text: str, stream: str = "stdout") -> list[str]:
    parts = [text[at : at + SIZE] for at in range(0, len(text), SIZE)]
    parts[-1] += "\n"
    return [json.dumps({"log": part, "stream": stream, "time": "x"}, separators=(",", ":")) for part in parts]


@pytest.fixture(params=[cri, docker])
def lines(request: pytest.FixtureRequest) -> Callable[[str], list[str]]:
    runtime: Callable[[str], list[str]] = request.param
    return runtime


def found(path: Path) -> tuple[list[str], list[str], int, list[int]]:
    """Users, products, and lines, all there are and the bad ones."""
    blocks = list(files.read(path, Settings(_env_file=None)))
    return (
        [user.rpartition(".")[2] for block in blocks for user in block.clicks.users],
        [str(product) for block in blocks for product in block.clicks.products],
        sum(block.lines for block in blocks),
        [number for block in blocks for number, _ in block.bad],
    )


@pytest.mark.parametrize("form", [CADDY, COMBINED], ids=["JSON", "combined"])
@pytest.mark.parametrize("block", [1000, 20_000, 512 * 1024])
def test_the_parts_of_a_line_are_one_request(
    tmp_path: Path,
    lines: Callable[[str], list[str]],
    form: str,
    block: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "BLOCK_BYTES", block)
    paths = ["a", "b" * 17_000, "c", "d" * 45_000, "e"]
    written = [part for number, path in enumerate(paths) for part in lines(form.format(number, path))]
    written.insert(-1, "no line of it")
    (tmp_path / "log.gz").write_bytes(gzip.compress("\n".join(written).encode()))
    assert found(tmp_path / "log.gz") == (
        list("01234"),
        [f"/p/{path}" for path in paths],
        len(written),
        [len(written) - 1],
    )


def test_another_stream_may_stand_between_the_parts(tmp_path: Path) -> None:
    first, last = cri(COMBINED.format(1, "a" * SIZE))
    (error,) = cri(COMBINED.format(2, "b"), "stderr")
    (whole,) = cri(COMBINED.format(3, "c"))
    (tmp_path / "log").write_text("\n".join([whole, first, error, last, whole]))
    users, products, *_ = found(tmp_path / "log")
    assert (users, products) == (list("3123"), ["/p/c", f"/p/{'a' * SIZE}", "/p/b", "/p/c"])


def test_a_line_whose_end_never_comes_is_what_it_is(tmp_path: Path) -> None:
    (whole,) = cri(COMBINED.format(1, "a"))
    first, _ = cri(COMBINED.format(2, "b" * SIZE))
    (tmp_path / "log").write_text("\n".join([whole, first]) + "\n")
    assert found(tmp_path / "log")[0] == ["1", "2"]


def test_a_service_that_writes_no_line_feeds_has_whole_lines(tmp_path: Path) -> None:
    written = [
        json.dumps({"log": COMBINED.format(n, "a"), "stream": "stdout", "time": "x"}, separators=(",", ":"))
        for n in range(5)
    ]
    (tmp_path / "log").write_text("\n".join(written) + "\n")
    assert found(tmp_path / "log")[0] == list("01234")


def test_a_part_waits_for_the_others_where_a_log_is_followed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    (whole,) = cri(COMBINED.format(1, "a"))
    first, last = cri(COMBINED.format(2, "b" * SIZE))
    log.write_text(f"{whole}\n{first}\n")
    following = tail.follow(log, Settings(_env_file=None))
    assert next(following).clicks.users == ["203.0.113.1"]
    assert not next(following).lines
    with log.open("a") as file:
        file.write(last + "\n")
    assert next(following).clicks.products == [f"/p/{'b' * SIZE}"]
