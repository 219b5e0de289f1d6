"""Keys, on a clock moved by hand."""

import pytest

from clickwarden.errors import SettingsError
from clickwarden.sources.keys import DAY, SIGNATURE, Keys

SHOP = "https://shop.example"
SECRET = "s" * 32


def test_a_key_is_for_one_origin_one_secret_and_some_days() -> None:
    now = 1_800_000_000.0
    keys = Keys(SECRET, lambda: now)
    key = keys.make(SHOP, 30)
    assert keys.is_good(key, SHOP)
    assert not any(
        keys.is_good(key, origin) for origin in ("http://shop.example", f"{SHOP}:8443", "null", "")
    )
    assert not Keys("t" * 32, lambda: now).is_good(key, SHOP)
    now += 30 * DAY - 1
    assert keys.is_good(key, SHOP)
    now += 1
    assert not keys.is_good(key, SHOP)


@pytest.mark.parametrize("change", ["", ".", "9{}", "{}x", "{} ", " {}", "€.€", "1.2.3", "{}.{}"])
def test_what_was_changed_is_no_key(change: str) -> None:
    keys = Keys(SECRET)
    key = keys.make(SHOP, 1)
    assert not keys.is_good(change.format(key, key), SHOP)
    assert not keys.is_good(key[:-1], SHOP)
    assert len(key.partition(".")[2]) == SIGNATURE


@pytest.mark.parametrize(
    "origin",
    ["", "shop.example", "https://shop.example/", "https://Shop.example", "ftp://shop.example", "null"],
)
def test_what_browsers_do_not_send_as_an_origin_gets_no_key(origin: str) -> None:
    with pytest.raises(SettingsError, match="is no origin"):
        Keys(SECRET).make(origin, 1)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8000", "http://[::1]:8000", "https://xn--fsq.example"])
def test_what_browsers_send_as_an_origin_gets_one(origin: str) -> None:
    keys = Keys(SECRET)
    assert keys.is_good(keys.make(origin, 1), origin)
