"""How many files a worker may open."""

import resource
import subprocess
import sys

import pytest

from app.room import make_room
from app.visitors import CONNECTIONS, STRANGERS
from clickwarden.errors import SettingsError
from clickwarden.settings import Settings


def limited(soft: int, hard: int, partitions: int) -> str:
    """What a process of these limits on open files says of room for connections, and its limits then."""
    code = (
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "from app.room import make_room\n"
        "from clickwarden.settings import Settings\n"
        f"print(make_room(Settings(_env_file=None), {partitions}))\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    return (done.stdout or done.stderr.splitlines()[-1]).strip()


def test_the_soft_limit_is_raised_as_far_as_needed() -> None:
    assert limited(256, 20_000, partitions=4) == f"{CONNECTIONS}\n4324 20000"


def test_there_is_room_for_fewer_connections_where_the_hard_limit_is_low() -> None:
    connections, soft, hard = limited(1024, 1024, partitions=4).split()
    assert STRANGERS < int(connections) == 1024 - 228
    assert (soft, hard) == ("1024", "1024")


def test_a_worker_that_may_open_too_few_for_its_partitions_says_the_number_and_does_not_start() -> None:
    said = limited(1024, 1024, partitions=200)
    assert "a worker that gets all 200 partitions may need 6820 open files" in said
    assert "the system allows 1024: start it behind 'ulimit -n 6820'" in said


def test_a_limit_that_cannot_be_raised_is_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    with pytest.raises(SettingsError, match="the system allows 256"):
        make_room(Settings(_env_file=None), 4)
