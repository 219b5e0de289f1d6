"""Rules that ask for fields are put while clicks flow and workers die: none is judged without its fields."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from tests.site import RULES, Site, click, window_before

Sites = Callable[..., Site]

T = window_before(time.time())
ERRORS = '[[rule]]\nname = "errors"\nwindow = 60\nthreshold = 20\n[rule.where]\nstatus = ">= 400"\n'
CONDITIONS = (
    ERRORS,
    ERRORS + 'path = "/api/*"\n',
    ERRORS + 'who.plan = "!pro"\n',
)


def request(user: str, time: float, number: int) -> bytes:
    """A click as a web server's, of which half are errors, a third are of no API, and some of who pays."""
    more: dict[str, Any] = {"who": {"plan": ("pro", "free")[number % 5 > 0]}} if number % 4 else {}
    path = f"/{('shop', 'api')[number % 3 > 0]}/{number}"
    return click(user, time, status=(200, "404")[number % 2], path=path, **more)


def sent_until_changed(topic: Site, flowing: Iterator[bytes], number: int) -> bool:
    """Whether the change is there; if not, some more clicks are, which end at some time."""
    topic.send(*islice(flowing, 500))
    return topic.changes() == number


def taken_up(topic: Site, number: int) -> bool:
    """Whether the partition is counted by a change."""
    return f"partition 0: change {number} from offset" in topic.run("rules", "list").stdout


def counted(topic: Site) -> set[int]:
    """With how many clicks eve was reported in windows that are over."""
    closed = topic.anomalies("closed")
    return {each["count"] for each in closed if (each["rule"], each["user_id"]) == ("errors", "eve")}


def test_conditions_that_are_put_while_clicks_flow_over_kill_9_are_counted_exactly(site: Sites) -> None:
    topic = site()
    for minute, rules in enumerate(CONDITIONS):
        worker = topic.start()
        begin = T + 120 * minute
        file = topic.write(f"{minute}.toml", RULES + rules)
        changing = topic.launch_command("rules", "put", str(file))
        flowing = iter(
            [request(f"u{number % 150}", begin + number / 300, number) for number in range(15_000)]
        )
        topic.until(partial(sent_until_changed, topic, flowing, minute + 2), worker)
        worker.kill()
        changing.wait(60)
        # The next one takes the change up, if that one had not, behind what was sent by then.
        worker = topic.start()
        topic.until(partial(taken_up, topic, minute + 2), worker)
        topic.send(*flowing, *(request("eve", begin + 51, number) for number in range(120)))
        topic.send(click("ann", begin + 70))
        # What was put counts from here on, and this minute is its own.
        topic.send(*(request("eve", begin + 71, number) for number in range(120)), click("ann", begin + 135))
        worker.kill()
    worker = topic.start()
    # Of 120 requests those with 404; of these, those of the API, and those of who does not pay.
    topic.until(lambda: {60, 40, 48} == counted(topic), worker)
    verdict = topic.verdict()
    assert verdict.ok, verdict.examples
    assert verdict.accounted
    assert verdict.expected == verdict.reported > 0
    listed = topic.run("rules", "list").stdout
    assert "status >= 400" in listed
    assert "who.plan not pro" in listed
