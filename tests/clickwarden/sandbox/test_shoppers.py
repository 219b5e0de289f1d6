"""Made-up traffic: shoppers stay human, and the attack is what it says it is."""

from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from clickwarden.detection import rulesfile
from clickwarden.detection.clicks import Clicks
from clickwarden.errors import ClickwardenError
from clickwarden.sandbox.shoppers import Shoppers, attack, users_for

NOON = 1_760_011_200.0


def traffic(rate: float, users: int, seconds: int, seed: int = 1) -> list[Clicks]:
    return list(islice(Shoppers(rate, users, seed, NOON), seconds))


@pytest.mark.parametrize("rate", [0.2, 20, 200])
def test_no_shopper_crosses_a_rule(rate: float) -> None:
    """Also with as few shoppers as there may be, who are busy all the time."""
    counts: Counter[tuple[str, str, int]] = Counter()
    shipped = rulesfile.load(Path("rules.toml"))
    for clicks in traffic(rate, users_for(rate), 1300):
        for user, event, time in zip(clicks.users, clicks.events, clicks.times.tolist(), strict=True):
            for rule in shipped:
                if not rule.events or event in rule.events:
                    counts[rule.name, user, int(time // rule.window)] += 1
    for rule in shipped:
        assert max(count for (name, _, _), count in counts.items() if name == rule.name) <= rule.threshold


def test_clicks_of_one_shopper_lie_seconds_apart() -> None:
    times: dict[str, list[float]] = {}
    for clicks in traffic(50, users_for(50), 600):
        for user, time in zip(clicks.users, clicks.times.tolist(), strict=True):
            times.setdefault(user, []).append(time)
    assert min(float(np.diff(each).min()) for each in times.values() if len(each) > 1) >= 4.0


def test_the_rate_is_kept_from_the_first_second_on() -> None:
    seconds = traffic(1000, users_for(1000), 120)
    assert 600 < len(seconds[0].users) < 1400
    assert sum(len(clicks.users) for clicks in seconds) == pytest.approx(120 * 1000, rel=0.25)


def test_seconds_follow_one_another_in_order() -> None:
    times = np.concatenate([clicks.times for clicks in traffic(200, 2000, 60)])
    assert (np.diff(times) >= 0).all()
    assert times[0] >= NOON
    assert times[-1] <= NOON + 60


def test_the_seed_decides() -> None:
    def users(seed: int) -> list[str]:
        return [user for clicks in traffic(50, 1000, 10, seed) for user in clicks.users]

    assert users(1) == users(1)
    assert users(1) != users(2)


def test_few_products_get_most_of_the_views_and_purchases_follow() -> None:
    views: Counter[str | int | None] = Counter()
    events: Counter[str] = Counter()
    for clicks in traffic(200, 2000, 300):
        events.update(clicks.events)
        views.update(p for e, p in zip(clicks.events, clicks.products, strict=True) if e == "view")
    popular = sum(count for _, count in views.most_common(100))
    assert 0.4 < popular / views.total() < 0.8
    assert events["view"] > events["add_to_cart"] > events["purchase"] > 0
    assert events["login"] > 0


def test_too_few_shoppers_are_refused_with_the_number_that_works() -> None:
    with pytest.raises(ClickwardenError, match="--users 2000 or more"):
        Shoppers(200, 1999, 0, NOON)


@pytest.mark.parametrize("second", [0, 12.34, 39.999, 40.001, 54.9999, 55.1, 59.999])
@pytest.mark.parametrize("clicks", [1, 10_000, 1_000_000])
def test_the_attack_lies_in_one_minute(second: float, clicks: int) -> None:
    now = NOON + second
    bot = attack(clicks, "eve", now)
    assert len(bot.times) == len(bot.users) == len(bot.events) == len(bot.products) == clicks
    assert set(bot.users) == {"eve"}
    assert len({time // 60 for time in bot.times.tolist()}) == 1
    assert now < bot.times[0] < now + 65
    assert (np.diff(bot.times) >= 0).all()


def test_no_attack() -> None:
    assert attack(0, "eve", NOON).users == []


def test_an_attack_that_fits_in_no_minute_is_refused() -> None:
    with pytest.raises(ClickwardenError, match="1200000 or fewer"):
        attack(2_000_000, "eve", NOON)
