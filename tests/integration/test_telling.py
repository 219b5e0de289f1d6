"""People are told by real workers, once, whoever dies."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from clickwarden.channels.message import PERHAPS_TOLD
from clickwarden.times import isotime
from tests.channels import Received, Reply, Sink, sink
from tests.site import RULES as OF_A_MINUTE
from tests.site import Site, Worker, click, clicks, window_before

Sites = Callable[..., Site]

HOUR = 3600
#: Whatever the second, the attacks of a test are in one window.
RULES = OF_A_MINUTE.replace("window = 60", f"window = {HOUR}")
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def channels(folder: Path, *hosts: str, more: str = "group_wait = 0\ngroup_interval = 0") -> Path:
    file = folder / "channels.toml"
    file.write_text(
        "\n".join(
            f'[[channel]]\nname = "c{number}"\nurl = "webhook+http://{host}/"\nsecret = "{KEY}"\n{more}'
            for number, host in enumerate(hosts)
        )
    )
    return file


def told(server: Sink, *, marked: bool = False) -> list[tuple[str, list[str]]]:
    """Stage and users of each message that came, or of those that may have come before."""
    found = [
        (request.json["type"].removeprefix("incident."), request.json["data"]) for request in server.received
    ]
    return [
        (stage, sorted(each["user_id"] for each in data["incidents"]))
        for stage, data in found
        if not marked or data.get("mark") == PERHAPS_TOLD
    ]


def attack(user: str) -> list[bytes]:
    """Clicks of the last seconds: nothing of them comes from a backlog."""
    now = time.time()
    return clicks(user, 60, now - 8, now)


def given_up(here: Site) -> str:
    """What the command says of the channels, if some message was given up."""
    done = here.run("notify", "status")
    return done.stdout if done.returncode else ""


def keeper(here: Site, *workers: Worker) -> Worker:
    """The one that counts the first partition, and tells."""
    return here.until(
        lambda: next((worker for worker in workers if 0 in worker.partitions()), None) or False, *workers
    )


def test_people_are_told_once_although_workers_die(site: Sites, tmp_path: Path) -> None:
    with sink() as server:
        here = site(partitions=2, rules=RULES, idle_timeout=3600, channels=channels(tmp_path, server.host))
        one, two = here.start("one"), here.start("two")
        here.until(lambda: len(one.partitions()) == len(two.partitions()) == 1, one, two)
        here.send(*attack("eve"), partition=0)
        here.until(lambda: told(server) == [("opening", ["eve"])], one, two)
        here.send(*attack("joe"), partition=1)
        here.until(lambda: told(server)[1:] == [("opening", ["joe"])], one, two)
        here.until(lambda: not given_up(here), one, two)
        assert here.run("notify", "status").stdout.startswith("c0: told since ")

        dead = keeper(here, one, two)
        alive = two if dead is one else one
        dead.kill()
        here.send(*attack("ann"), partition=1)
        here.until(lambda: ("opening", ["ann"]) in told(server), alive)
        # Who was told before may be told again, if it was killed before it noted so, and is told that.
        repeats = told(server, marked=True)
        assert sorted(told(server)) == sorted(
            [("opening", ["ann"]), ("opening", ["eve"]), ("opening", ["joe"]), *repeats]
        )
        assert len(repeats) <= 1


def test_killed_between_sending_and_noting_it_tells_again_and_says_so(site: Sites, tmp_path: Path) -> None:
    workers: list[Worker] = []

    def kill(request: Received) -> Reply:
        if workers:
            workers.pop().kill()
        return Reply()

    with sink(kill) as server:
        here = site(rules=RULES, idle_timeout=3600, channels=channels(tmp_path, server.host))
        worker = here.start()
        workers.append(worker)
        here.send(*attack("eve"))
        here.until(lambda: not worker.alive)
        assert told(server) == [("opening", ["eve"])]
        worker = here.start()
        here.until(lambda: len(server.received) == 2, worker)
        assert told(server, marked=True) == [("opening", ["eve"])]
        worker.terminate()
        worker = here.start()
        here.send(*attack("joe"))
        here.until(lambda: told(server)[2:] == [("opening", ["joe"])], worker)
        assert len({request.headers["webhook-id"] for request in server.received}) == 2


def test_what_is_refused_is_said_and_can_be_replayed(site: Sites, tmp_path: Path) -> None:
    with sink(lambda request: Reply(401)) as server:
        wanting = 'group_wait = 0\ngroup_interval = 0\nrules = ["bot", "carts"]'
        given = channels(tmp_path, server.host, more=wanting)
        carts = RULES.replace('"bot"', '"carts"').replace("threshold = 50", "threshold = 99")
        here = site(rules=RULES + carts, idle_timeout=3600, channels=given)
        worker = here.start()
        here.put(RULES)
        here.send(*attack("eve"))
        said = here.until(partial(given_up, here), worker)
        assert "Channel c0 wants to be told of rule 'carts', which is not in force" in said
        assert "c0: given up: opening of 1 incident (" in said
        assert "tried 1 time: 401 Unauthorized" in said
        warnings = here.until(lambda: worker.ask("/api/v1/now")[1]["health"]["warnings"], worker)
        assert warnings[0].startswith("Channel c0 was not told of 1 incident: 401 Unauthorized")
        server.reply = lambda request: Reply()
        assert here.run("notify", "replay", "c0").stdout == "1 message asked for again\n"
        here.until(lambda: told(server)[1:] == [("opening", ["eve"])], worker)
        here.until(lambda: not given_up(here), worker)
        here.until(lambda: not worker.ask("/api/v1/now")[1]["health"]["warnings"], worker)


def test_a_backlog_wakes_nobody_and_quiet_hours_neither(site: Sites, tmp_path: Path) -> None:
    from_to = [isotime(time.time() + hours * HOUR)[11:16] for hours in (-1, 2)]
    quiet = f'group_wait = 0\ngroup_interval = 0\nquiet = "{"-".join(from_to)}"'
    with sink() as server, sink() as asleep:
        here = site(rules=RULES, idle_timeout=3600)
        given = channels(tmp_path, server.host).read_text()
        given += "\n" + channels(tmp_path, asleep.host, more=quiet).read_text().replace('"c0"', '"asleep"')
        (tmp_path / "channels.toml").write_text(given)
        worker = here.start(channels=tmp_path / "channels.toml")
        old = window_before(time.time(), HOUR)
        for number in range(5):
            here.send(*clicks(f"old {number}", 60, old, old + 8))
        here.send(click("a shopper", old + HOUR + 70))
        here.send(*attack("eve"))
        here.until(lambda: len(server.received) == 2, worker, seconds=90)
        assert told(server) == [("opening", ["eve"]), ("backlog", [f"old {number}" for number in range(5)])]
        assert asleep.received == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('url = "json://127.0.0.1:9"\nseverty = "high"', "line 4: channel 'a': severty"),
        ('url = "json://127.0.0.1:9/${NOT_SET}"', "line 3: channel 'a': url"),
        ('url = "json://127.0.0.1:9"\nquiet = "late"', "line 4: channel 'a': quiet"),
        ('url = "json://127.0.0.1:9"\nrules = ["bto"]', "line 4: channel 'a': rules"),
    ],
)
def test_a_worker_does_not_start_with_channels_that_are_wrong(
    site: Sites, tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "channels.toml").write_text(f'[[channel]]\nname = "a"\n{content}')
    code, log = site(channels=tmp_path / "channels.toml").launch().failed()
    assert code == 1
    assert f"clickwarden: {tmp_path}/channels.toml, {said}: " in log
