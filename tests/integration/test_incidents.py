"""What the incidents topic says while workers come, go and die."""

import time
from collections.abc import Callable
from typing import Any

from tests.site import Site, Worker, click, clicks, window_before

T = window_before(time.time())

Sites = Callable[..., Site]

USERS = [("eve", 0), ("joe", 0), ("mallory", 1)]


def attack(site: Site, first: int, last: int) -> None:
    """Each user clicks more often from minute to minute, and somebody else behind the last."""
    for minute in range(first, last):
        for user, partition in USERS:
            start = T + 60 * minute
            site.send(*clicks(user, 60 + 50 * minute, start, start + 50), partition=partition)
    for partition in 0, 1:
        site.send(click("ann", T + 60 * last + 6), partition=partition)


def by_user(site: Site) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for incident in site.incidents().values():
        found.setdefault(incident["user_id"], []).append(incident)
    return found


def told(site: Site, windows: int) -> bool:
    """Whether each user's incident has so many windows, all of them closed."""
    found = by_user(site)
    return len(found) == len(USERS) and all(
        [(each["windows"], each["status"]) for each in incidents] == [(windows, "closed")]
        for incidents in found.values()
    )


def keeper(*workers: Worker) -> Worker:
    """The one that counts the first partition."""
    return next(worker for worker in workers if 0 in worker.partitions())


def test_the_keeper_is_killed_and_another_goes_on_and_all_of_it_can_be_made_anew(site: Sites) -> None:
    here = site(partitions=2)
    one, two = here.start("one"), here.start("two")
    here.until(lambda: len(one.partitions()) == len(two.partitions()) == 1, one, two)
    attack(here, 0, 2)
    here.until(lambda: told(here, 2), one, two)

    dead = keeper(one, two)
    alive = two if dead is one else one
    dead.kill()
    attack(here, 2, 4)
    here.until(lambda: told(here, 4), alive)
    for incidents in by_user(here).values():
        (incident,) = incidents
        assert (incident["count"], incident["peak"]) == (60 + 110 + 160 + 210, 210)
        assert (incident["severity"], incident["rules"], incident["caught_up"]) == ("medium", [], True)

    before = here.incidents()
    records = len(here.read(here.settings.incidents_topic))
    alive.terminate()
    again = here.start("one")
    attack(here, 5, 6)  # a minute later: another incident
    here.until(lambda: len(here.incidents()) == 2 * len(USERS), again)
    here.until(lambda: all(each["status"] == "closed" for each in here.incidents().values()), again)
    assert before.items() <= here.incidents().items()
    assert len(here.read(here.settings.incidents_topic)) <= records + 2 * len(USERS)

    told_before = here.incidents()
    again.terminate()
    topic = here.settings.incidents_topic
    here.admin.delete_topics([topic])[topic].result()
    here.until(lambda: topic not in here.admin.list_topics(timeout=10).topics)
    again = here.start("one")
    here.until(lambda: here.incidents() == told_before, again)
