"""What an id is as an address."""

import pytest

from clickwarden.blocking.address import is_never, is_private, target_of


@pytest.mark.parametrize(
    ("user_id", "scope", "value"),
    [
        ("203.0.113.9", "Ip", "203.0.113.9"),
        ("203.0.113.9/32", "Ip", "203.0.113.9"),
        ("::ffff:203.0.113.9", "Ip", "203.0.113.9"),
        ("::FFFF:cb00:7109", "Ip", "203.0.113.9"),
        ("::ffff:203.0.113.9/128", "Ip", "203.0.113.9"),
        ("2001:DB8:0:0:0::9", "Ip", "2001:db8::9"),
        ("2001:db8:1:2::/64", "Range", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3::4/64", "Range", "2001:db8:1:2::/64"),
        ("2001:db8:1::/48", "Range", "2001:db8:1::/48"),
    ],
)
def test_an_address_is_written_in_one_way(user_id: str, scope: str, value: str) -> None:
    target = target_of(user_id)
    assert (target.scope, target.value) == (scope, value)
    assert target.network is not None


@pytest.mark.parametrize(
    "user_id",
    [
        "eve", "", "0.0.0.0/0", "::/0", "203.0.113.0/24", "2001:db8::/32", "::ffff:0:0/96",
        "::ffff:203.0.113.0/120", "203.0.113.9\n", "203.0.113.9; allow all", "203.0.113.9/32/32",
        "203.0.113.9/+32", "203.0.113.9/255.255.255.255", "2001:db8::9%\ndeny all", "fe80::1%eth0",
        "203.0.113.009", "3405803785", "2001:db8::9%25", "٢٠٣.0.113.9",
        " 203.0.113.9", "203.0.113.9:443", "[2001:db8::9]", "1:2:3:4:5:6:7:8:9",
    ],
)  # fmt: skip
def test_what_is_none_or_too_large_is_a_users_name(user_id: str) -> None:
    assert target_of(user_id) == ("Username", user_id, None)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "::1", "::", "0.0.0.0", "169.254.1.1", "fe80::1", "224.0.0.1",
     "255.255.255.255", "240.0.0.1", "ff02::1", "::/64", "::ffff:127.0.0.1"],
)  # fmt: skip
def test_this_machine_and_nobody_are_never_blocked(address: str) -> None:
    network = target_of(address).network
    assert network is not None
    assert is_never(network)


@pytest.mark.parametrize(
    ("address", "private"),
    [("10.1.2.3", True), ("172.16.0.1", True), ("172.31.255.255", True), ("172.32.0.1", False),
     ("192.168.0.1", True), ("192.169.0.1", False), ("100.64.0.1", True), ("100.128.0.1", False),
     ("fc00::1", True), ("fd12:3456:789a::/48", True), ("2001:db8::1", False), ("203.0.113.9", False),
     ("::ffff:10.1.2.3", True)],
)  # fmt: skip
def test_ones_own_networks_are_private(address: str, private: bool) -> None:
    network = target_of(address).network
    assert network is not None
    assert (is_private(network), is_never(network)) == (private, False)
