"""The list as others read it: nginx and HAProxy themselves."""

import ipaddress
import subprocess
from pathlib import Path

import pytest

from clickwarden.blocking.address import target_of
from clickwarden.blocking.block import Block, Offence
from clickwarden.blocking.blocklist import Listing
from clickwarden.blocking.written import FORMATS, Format, written
from experiments.programs import find

AT = 1_800_000_000.0  # 2027-01-15T08:00:00Z
ADDRESSES = "203.0.113.9", "::ffff:203.0.113.10", "2001:DB8::9", "2001:db8:1:2::/64"
NASTY = [
    "eve",
    "203.0.113.11; }\nallow all;\ndeny 203.0.113.12",
    "2001:db8::1%\nallow all;",
    "203.0.113.13\r\nallow all;",
    "203.0.113.14 #",
    "'; drop table\x00",
    "\u202e9.311.0.302",
    "tab\tbed",
    "0.0.0.0/0",
]
NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {list};
    server {{ listen 127.0.0.1:8080; }}
}}
"""
HAPROXY = """
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
frontend shop
    bind 127.0.0.1:8080
    http-request deny if {{ src,map_ip({list}) -m found }}
"""


def listing(*user_ids: str, left_out: bool = True) -> Listing:
    offence = Offence(AT, AT, "a", "bot", "high")
    blocks = [Block(user_id, target_of(user_id), AT, AT + 3600, 1, offence) for user_id in user_ids]
    return Listing(AT, blocks, [], {"private": 2, "many": 1} if left_out else {})


def lines(form: Format, *user_ids: str) -> list[str]:
    """Those that are no comment."""
    return [line for line in written(listing(*user_ids), form).splitlines() if not line.startswith("#")]


def test_each_form_has_what_it_is_for() -> None:
    networks = "203.0.113.9/32", "203.0.113.10/32", "2001:db8::9/128", "2001:db8:1:2::/64"
    assert lines("cidr", *ADDRESSES) == list(networks)
    assert lines("nginx", *ADDRESSES) == [f"deny {network};" for network in networks]
    assert lines("haproxy", *ADDRESSES) == [f"{network} 2027-01-15T09:00:00Z" for network in networks]
    assert lines("plain", *ADDRESSES, "eve") == [
        "Ip\t203.0.113.9\t2027-01-15T09:00:00Z",
        "Ip\t203.0.113.10\t2027-01-15T09:00:00Z",
        "Ip\t2001:db8::9\t2027-01-15T09:00:00Z",
        "Range\t2001:db8:1:2::/64\t2027-01-15T09:00:00Z",
        "Username\teve\t2027-01-15T09:00:00Z",
    ]


def test_who_is_left_out_is_said() -> None:
    assert written(listing(*ADDRESSES, "eve", "joe"), "nginx").splitlines()[:4] == [
        "# Clickwarden, 2027-01-15T08:00:00Z: 4 addresses",
        "# left out: 2 users without an address",
        "# left out: 2 users of private networks, of this machine or of nobody",
        "# left out: 1 user beyond the 10,000 that are listed",
    ]
    assert written(listing("203.0.113.9", left_out=False), "cidr").splitlines() == [
        "# Clickwarden, 2027-01-15T08:00:00Z: 1 address",
        "203.0.113.9/32",
    ]


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "plain"])
def test_no_id_writes_more_than_its_address(form: Format) -> None:
    found = lines(form, *NASTY, *ADDRESSES)
    assert found == lines(form, *ADDRESSES)
    for line in found:
        ipaddress.ip_network(line.removeprefix("deny ").removesuffix(";").partition(" ")[0])


def test_in_plain_text_an_id_is_one_line_and_one_column() -> None:
    found = lines("plain", *NASTY)
    assert len(found) == len(NASTY)
    for line in found:
        assert line.isprintable() or set(filter(lambda sign: not sign.isprintable(), line)) == {"\t"}
        assert line.count("\t") == 2
        assert line.startswith("Username\t")


def program(name: str) -> str:
    try:
        return find(name)
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("user_ids", [[*ADDRESSES, *NASTY], []])
def test_nginx_takes_it(tmp_path: Path, user_ids: list[str]) -> None:
    (tmp_path / "list").write_text(written(listing(*user_ids), "nginx"))
    (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path, list=tmp_path / "list"))
    command = [program("nginx"), "-t", "-c", f"{tmp_path}/nginx.conf", "-e", f"{tmp_path}/error"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (tmp_path / "list").write_text("deny 203.0.113.9/33;")  # it would say so
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == 1


@pytest.mark.parametrize("user_ids", [[*ADDRESSES, *NASTY], []])
def test_haproxy_takes_it(tmp_path: Path, user_ids: list[str]) -> None:
    (tmp_path / "list").write_text(written(listing(*user_ids), "haproxy"))
    (tmp_path / "haproxy.cfg").write_text(HAPROXY.format(list=tmp_path / "list"))
    command = [program("haproxy"), "-c", "-f", f"{tmp_path}/haproxy.cfg"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (tmp_path / "list").write_text("eve 2027-01-15T09:00:00Z\n")  # it would say so
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == 1
