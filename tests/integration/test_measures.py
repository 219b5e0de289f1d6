"""Rules that count different values, or want a share, are put into force while a worker runs, and dies."""

import time
from collections.abc import Callable
from typing import Any

from tests.site import RULES, Site, click, window_before

T = window_before(time.time())
MEASURES = """
[[rule]]
name = "reader"
window = 60
threshold = 20
count = "distinct product_id"

[[rule]]
name = "accounts"
window = 60
slide = 20
threshold = 20
promote = 1
count = "distinct form.account"

[[rule]]
name = "guesser"
window = 60
threshold = 10
share = "login_failed of login, login_failed"
at_least = 0.9
"""

Sites = Callable[..., Site]


def seen(user: str, products: range, begin: float, **more: Any) -> list[bytes]:
    return [
        click(user, begin + number / 2, product_id=f"p{product}", **more)
        for number, product in enumerate(products)
    ]


def tried(user: str, accounts: range, begin: float, event: str) -> list[bytes]:
    return [
        click(user, begin + number / 2, event, form={"account": f"a{account}"})
        for number, account in enumerate(accounts)
    ]


def test_both_are_put_at_run_time_and_a_crash_tells_the_same(site: Sites) -> None:
    topic = site()
    worker = topic.start(checkpoint_interval=0.5)
    topic.send(*seen("eve", range(5), T))
    topic.await_counted(worker)
    assert "accounts" in topic.put(RULES + MEASURES)
    begin = T + 60
    topic.send(
        *seen("eve", range(15), begin),
        *seen("ann", range(5), begin),  # four of which may be values that nobody knows
        *seen("ann", range(17), begin + 3),
        *tried("mallory", range(12), begin + 10, "login_failed"),
        *tried("office", range(12), begin + 10, "login"),
    )
    topic.await_counted(worker)
    worker.kill()
    topic.send(
        *seen("eve", range(10, 25), begin + 20),
        *tried("mallory", range(6, 30), begin + 35, "login_failed"),
        *tried("office", range(6), begin + 35, "login_failed"),
    )
    worker = topic.start(checkpoint_interval=0.5)
    topic.until(lambda: len(topic.anomalies("ongoing")) >= 4, worker)
    worker.kill()
    topic.send(click("bob", T + 400))
    topic.await_counted(topic.start())

    found = {
        (each["rule"], each["user_id"], each["count_low"] > each["threshold"]): each
        for each in topic.anomalies("closed")
    }
    assert set(found) == {
        ("reader", "eve", True),
        ("reader", "ann", False),
        ("accounts", "mallory", True),
        ("guesser", "mallory", True),
    }
    eve, mallory = found["reader", "eve", True], found["guesser", "mallory", True]
    assert (eve["count_low"], eve["count"], eve["distinct"], eve["share_low"]) == (21, 25, "product_id", None)
    assert (mallory["count"], mallory["share_low"], mallory["share_high"]) == (36, 1.0, 1.0)
    verdict = topic.verdict()
    assert verdict.ok, verdict.examples
    assert verdict.accounted
    assert verdict.doubtful == 1
    said = topic.run("verify")
    assert said.returncode == 0, said.stdout
    assert "1 case reported of whom the rule keeps too little to know" in said.stdout
