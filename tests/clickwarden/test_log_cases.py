"""Logs that people have, scanned as they are: the attacker is found, by his address, and nobody else.

The files are in ``tests/cases/``, a folder for each kind; the minute they are
of, with 12 visitors of 6 requests and, where somebody attacks, 60 of
203.0.113.7, is mostly the same.
"""

import gzip
import tempfile
from pathlib import Path

import pytest

from clickwarden import zstd
from clickwarden.detection import rulesfile
from clickwarden.detection.batch import Batch
from clickwarden.detection.whole import WholeDetection
from clickwarden.errors import ClickwardenError
from clickwarden.formats.recognition import Reading
from clickwarden.settings import Settings
from clickwarden.sources import files

CASES = Path(__file__).parents[1] / "cases"
RULES = rulesfile.load(Path(__file__).parents[2] / "rules.toml")
ATTACK = {("bot", "203.0.113.7", 60)}
GUESSING = {("credential-stuffing", "203.0.113.7", 40)}
PROXIED = Reading(trusted_proxies=["10.0.0.0/8"])


class Scanned:
    """What a scan of files finds: rule, user and clicks of each anomaly."""

    def __init__(self, *paths: Path, reading: Reading | None = None, **given: object) -> None:
        settings = Settings(_env_file=None, **given)  # type: ignore[arg-type]
        self.skipped = self.left_out = self.lines = 0
        with tempfile.TemporaryFile() as store:
            detection = WholeDetection(RULES, settings, store)
            for block in files.read_all(paths, settings, reading):
                detection.count(Batch(block.clicks))
                self.lines += block.lines
                self.skipped += len(block.bad)
                self.left_out += block.left_out.total()
            found = [
                anomaly
                for _, anomalies in detection.close()
                for anomaly in anomalies
                if anomaly.window_start.endswith(":00Z")
            ]
        self.found = {(anomaly.rule, anomaly.user_id, anomaly.count) for anomaly in found}
        self.anomalies = len(found)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("01-vhost-first/attack-vhost-port.log", ATTACK),
        ("01-vhost-first/honest-vhost-port.log", set()),
        ("02-collector-prefix/attack-in-syslog.log", ATTACK),
        ("02-collector-prefix/syslog.log", set()),
        ("02-collector-prefix/compose.log", set()),
        ("04-json-access-logs/caddy.json", ATTACK),
        ("04-json-access-logs/traefik.json", ATTACK),
        ("05-cloud-and-iis/alb.log", ATTACK),
        ("05-cloud-and-iis/haproxy.log", ATTACK),
        ("05-cloud-and-iis/nginx-iso-time.log", ATTACK),
        ("06-cloudflare-logpush/unix.ndjson", ATTACK),
        ("06-cloudflare-logpush/unixnano.ndjson", ATTACK),
        ("07-pipe-and-rotation/access.log", set()),
        ("07-pipe-and-rotation/access.log.1", ATTACK),
        ("07-pipe-and-rotation/access.log.1.gz", ATTACK),
        ("07-pipe-and-rotation/access.log.1.bz2", ATTACK),
        ("07-pipe-and-rotation/access.log.1.xz", ATTACK),
        ("07-pipe-and-rotation/two-members.gz", ATTACK),
        ("07-pipe-and-rotation/newest-first.log", ATTACK),
        ("08-order-of-lines/apache-slow-requests.log", ATTACK),
        ("09-address-with-port/ipv4-port.log", ATTACK),
        ("13-one-wrong-clock/one-line-two-hours-ahead.log", ATTACK),
        ("13-one-wrong-clock/one-line-two-hours-ahead.ndjson", ATTACK),
        ("14-bom-and-utf16/bom.log", ATTACK),
        ("14-bom-and-utf16/bom.ndjson", ATTACK),
        ("14-bom-and-utf16/utf16.log", ATTACK),
    ],
)
def test_the_attacker_is_found_and_nobody_else(path: str, found: set[tuple[str, str, int]]) -> None:
    scanned = Scanned(CASES / path)
    assert (scanned.found, scanned.anomalies, scanned.skipped) == (found, len(found), 0)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("apache-xff-first.log", ATTACK),
        ("nginx-main-xff-last-attack.log", ATTACK),
        ("nginx-main-xff-last.log", set()),
    ],
)
def test_03_behind_a_proxy_that_is_trusted_stands_the_client(
    name: str, found: set[tuple[str, str, int]]
) -> None:
    assert Scanned(CASES / "03-behind-a-proxy" / name, reading=PROXIED).found == found


def test_03_nobody_hides_behind_a_header_where_no_proxy_is_trusted() -> None:
    scanned = Scanned(CASES / "03-behind-a-proxy" / "nginx-main-xff-last-attack.log")
    assert scanned.found == {("bot", "10.0.0.5", 132)}


def test_06_the_settings_of_the_topic_do_no_harm() -> None:
    scanned = Scanned(
        CASES / "06-cloudflare-logpush" / "unixnano.ndjson",
        field_user_id="ClientIP",
        field_event="ClientRequestMethod",
        field_product_id="ClientRequestURI",
        field_timestamp="EdgeStartTimestamp",
    )
    assert (scanned.found, scanned.skipped) == (ATTACK, 0)


def test_07_a_rotated_log_is_one_whatever_the_order_of_its_files() -> None:
    folder = CASES / "07-pipe-and-rotation"
    for names in (("access.log", "access.log.1"), ("access.log.1.xz", "access.log")):
        scanned = Scanned(*(folder / name for name in names))
        assert (scanned.found, scanned.lines) == (ATTACK, 204)


def test_07_the_files_are_read_in_the_order_of_their_times() -> None:
    folder = CASES / "07-pipe-and-rotation"
    blocks = list(files.read_all([folder / "access.log", folder / "access.log.1.bz2"], Settings()))
    assert [Path(block.file).name for block in blocks] == ["access.log.1.bz2", "access.log"]
    assert blocks[-1].read == sum(
        (folder / name).stat().st_size for name in ("access.log", "access.log.1.bz2")
    )


def test_07_zstandard_is_read_also_in_frames(tmp_path: Path) -> None:
    lines = (CASES / "07-pipe-and-rotation" / "access.log.1").read_bytes()
    packed = tmp_path / "access.log.zst"
    packed.write_bytes(zstd.compress(lines[:5000]) + zstd.compress(lines[5000:]))
    assert Scanned(packed).found == ATTACK


def test_09_an_ipv6_network_is_one_client_where_that_is_asked_for() -> None:
    path = CASES / "09-address-with-port" / "ipv6-same-64.log"
    assert Scanned(path).found == set()
    assert Scanned(path, reading=Reading(ipv6_prefix=64)).found == {("bot", "2001:db8:1:2::/64", 60)}


def test_10_a_visitor_of_two_pages_is_no_bot() -> None:
    path = CASES / "10-page-assets" / "one-visitor-two-pages.log"
    scanned = Scanned(path)
    assert (scanned.found, scanned.lines, scanned.left_out) == (set(), 72, 70)
    assert Scanned(path, reading=Reading(everything=True)).found == {("bot", "198.51.100.20", 72)}


@pytest.mark.parametrize(
    "name",
    [path.name for path in sorted((CASES / "11-password-guessing").iterdir()) if "honest" not in path.name],
)
def test_11_guessing_of_passwords_is_seen(name: str) -> None:
    assert Scanned(CASES / "11-password-guessing" / name).found == GUESSING


def test_11_a_file_manager_is_no_attacker() -> None:
    scanned = Scanned(CASES / "11-password-guessing" / "honest-webdav-nextcloud.log")
    assert (scanned.found, scanned.left_out) == (set(), 60)


@pytest.mark.parametrize("ignored", ["/healthz", "/health*", "10.0.0.2", "10.0.0.0/24"])
def test_15_ones_own_monitoring_can_be_left_out(ignored: str) -> None:
    path = CASES / "15-own-monitoring" / "health.log"
    assert Scanned(path).anomalies == 3
    scanned = Scanned(path, reading=Reading(ignored=[ignored]))
    assert (scanned.anomalies, scanned.left_out) == (0, 180)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[\n{"user_id": "u"}\n]\n', "is a JSON array"),
        (b"[\n" + b'{"user_id": "u"},\n' * 50 + b"]\n", "is a JSON array"),
        (b'{\n "user_id": "u",\n "event": "view"\n}\n', "is JSON over several lines"),
        (b"PAR1\x15\x04", "the end of the Parquet file is missing"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "neither an access log of a format that is recognised"),
    ],
)
def test_14_what_cannot_be_read_is_said_to_be_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ClickwardenError, match=said):
        Scanned(path)
