"""A table of logs: the lines, and the clicks that they are; cut anywhere, and mutated, too."""

import json
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from clickwarden.detection.clicks import Request
from clickwarden.errors import SettingsError
from clickwarden.formats.choice import decoder_of
from clickwarden.formats.lines import Block, Parser
from clickwarden.formats.logformat import layout_of
from clickwarden.formats.recognition import Reading, recognised
from clickwarden.settings import Settings

NOON = 1773152400.0  # 10 March 2026, 14:20:00 UTC
CLF = "10/Mar/2026:14:20:00 +0000"
AGENT = '"Mozilla/5.0 (X11; \\"quoted\\") [10/Mar/2026:14:20:00 +0000]"'
REQUEST = '"GET /p/7?x=1 HTTP/1.1"'
COMBINED = f'[{CLF}] {REQUEST} 200 512 "-" {AGENT}'
PLAIN = f"203.0.113.7 - - {COMBINED}"
VIEW = ("203.0.113.7", "view", "/p/7", NOON, "GET", 200)
OF_V6 = ("2001:db8::7", *VIEW[1:])

Row = tuple[str, str, str | None, float, str, int]


class Log(NamedTuple):
    """Lines, the clicks that they are, and how they are read."""

    lines: list[str]
    rows: list[Row]
    reading: Reading = Reading()


def one(line: str | dict[str, Any], row: Row = VIEW, **reading: Any) -> Log:
    return Log([line if isinstance(line, str) else json.dumps(line)], [row], Reading(**reading))


def given(format: str, line: str, row: Row = VIEW, **reading: Any) -> Log:
    return one(line, row, layout=layout_of(format), **reading)


def inside(field: str, **more: str) -> Log:
    return one({field: PLAIN + "\n", **more})


TRUSTED = ["10.0.0.0/8", "2001:db8:f::/48", "unix:"]
CADDY = {
    "ts": NOON,
    "request": {
        "remote_ip": "203.0.113.7",
        "method": "GET",
        "uri": "/p/7?x=1",
        "headers": {"X-Forwarded-For": ["198.51.100.9"]},
    },
    "status": 200,
    "user_id": "",
}
IIS = (
    "#Software: IIS\n#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query c-ip cs(User-Agent) sc-status"
)
CLOUDFRONT = (
    "#Version: 1.0\n#Fields: date\ttime\tx-edge-location\tsc-bytes\tc-ip\tcs-method\tcs(Host)\tcs-uri-stem"
    "\tsc-status\tcs(Referer)\tcs(User-Agent)\tcs-uri-query"
)
LOGS = {
    "common": one(f"203.0.113.7 - - [{CLF}] {REQUEST} 200 512"),
    "combined": one(PLAIN),
    "combined, cut off": one(f'203.0.113.7 - - [{CLF}] "GET /p/7', (*VIEW[:5], 0)),
    "a user of two words": one(f"203.0.113.7 - ann smith {COMBINED}"),
    "without a user": one(f"203.0.113.7 {COMBINED}"),
    "with a port": one(f"203.0.113.7:50123 - - {COMBINED}"),
    "IPv6": one(f"2001:db8:0::7 - - {COMBINED}", OF_V6),
    "IPv6 with a port": one(f"[2001:db8::7]:50123 - - {COMBINED}", OF_V6),
    "IPv6, a network": one(f"2001:db8::7 - - {COMBINED}", ("2001:db8::/64", *VIEW[1:]), ipv6_prefix=64),
    "IPv4 in IPv6": one(f"::ffff:203.0.113.7 - - {COMBINED}"),
    "a host name": one(f"Crawler.example.com - - {COMBINED}", ("crawler.example.com", *VIEW[1:])),
    "vhost": one(f"shop.example {PLAIN}"),
    "vhost and port": one(f"shop.example:443 {PLAIN}"),
    "vhost by address": one(f"192.0.2.80 203.0.113.7 - - {COMBINED}"),
    "vhost, before IPv6": one(f"shop.example 2001:db8::7 - - {COMBINED}", OF_V6),
    "time in ISO-8601": one(f'203.0.113.7 - - [2026-03-10T15:20:00+01:00] {REQUEST} 200 512 "-" {AGENT}'),
    "epoch": one(f"203.0.113.7 - - [1773152400.000] {REQUEST} 200 512"),
    "ingress-nginx": one(f"203.0.113.7 - [203.0.113.7] - - {COMBINED} 123 0.004 [shop-80] 10.0.0.1:80"),
    "time first": one(f"[{CLF}] 203.0.113.7 TLSv1.3 TLS_AES_256 {REQUEST} 5120", (*VIEW[:5], 0)),
    "forwarded behind, trusted": one(
        f'10.0.0.5 - - {COMBINED} "6.6.6.6, 203.0.113.7"', trusted_proxies=TRUSTED
    ),
    "forwarded far behind": one(f'10.0.0.5 - - {COMBINED} 0.1 - "203.0.113.7"', trusted_proxies=TRUSTED),
    "forwarded through two": one(
        f'10.0.0.5 - - {COMBINED} "6.6.6.6, 203.0.113.7, 10.9.9.9"', trusted_proxies=TRUSTED
    ),
    "forwarded by a stranger": one(f'203.0.113.7 - - {COMBINED} "6.6.6.6"', trusted_proxies=TRUSTED),
    "forwarded, none trusted": one(f'203.0.113.7 - - {COMBINED} "6.6.6.6"'),
    "forwarded is none": one(
        f'10.0.0.5 - - {COMBINED} "-"', ("10.0.0.5", *VIEW[1:]), trusted_proxies=TRUSTED
    ),
    "forwarded through a socket": one(f'unix: - - {COMBINED} "203.0.113.7"', trusted_proxies=TRUSTED),
    "forwarded in place of the client": one(
        f"6.6.6.6, 203.0.113.7, 10.0.0.5 - - {COMBINED}", trusted_proxies=TRUSTED
    ),
    "forwarded before the client": one(
        f"6.6.6.6, 203.0.113.7 10.0.0.5 - - {COMBINED}", trusted_proxies=TRUSTED
    ),
    "forwarded in place of the client, with a word behind the first": one(
        f"198.18.0.17 x, 203.0.113.7 - - {COMBINED}"
    ),
    "forwarded in place of the client, with an escape": one(f'a\\"b, 203.0.113.7 - - {COMBINED}'),
    "forwarded behind, what is no address first": one(
        f'10.0.0.5 - - {COMBINED} "<script>1, 203.0.113.7"', trusted_proxies=TRUSTED
    ),
    "forwarded before the client, what is no address first": one(
        f"foo bar, 203.0.113.7 10.0.0.9 - - {COMBINED}", trusted_proxies=TRUSTED
    ),
    "forwarded in two headers": one(
        CADDY
        | {
            "request": CADDY["request"]  # type: ignore[operator]
            | {"remote_ip": "10.0.0.5", "headers": {"X-Forwarded-For": ["192.0.2.9", "203.0.113.7"]}}
        },
        trusted_proxies=TRUSTED,
    ),
    "HAProxy, IPv6": one(
        "2001:db8::7:4000 [10/Mar/2026:14:20:00.000] https~ shop/web1 0/0/0/72/72 200 7456 - - ---- "
        f"5/4/0/1/0 0/0 {REQUEST}",
        OF_V6,
    ),
    "Azure": one(
        {
            "time": "2026-03-10T14:20:00Z",
            "properties": {
                "clientIp": "203.0.113.7",
                "httpMethod": "GET",
                "requestUri": "https://shop.example/p/7?x=1",
                "httpStatusCode": "200",
            },
        }
    ),
    "pino": one(
        {
            "time": 1773152400000,
            "req": {"remoteAddress": "203.0.113.7", "method": "GET", "url": "/p/7?x=1"},
            "res": {"statusCode": 200},
        }
    ),
    "Loki": inside("line"),
    "journalctl -o short-full": one(f"Tue 2026-03-10 14:20:00 UTC web-1 nginx[812]: {PLAIN}"),
    "journalctl -o short-unix": one(f"1773152400.123456 web-1 nginx[812]: {PLAIN}"),
    "Logstash's names": one(
        {
            "clientip": "203.0.113.7",
            "verb": "GET",
            "request": "/p/7?x=1",
            "response": "200",
            "timestamp": "10/Mar/2026:14:20:00 +0000",
        }
    ),
    "journald, a message as bytes": one({"MESSAGE": list(PLAIN.encode())}),
    "a format with bars": given(
        "$remote_addr|$time_local|$request|$status", f"203.0.113.7|{CLF}|GET /p/7?x=1 HTTP/1.1|200"
    ),
    "HAProxy": one(
        "203.0.113.7:4000 [10/Mar/2026:14:20:00.000] https~ shop/web1 0/0/0/72/72 200 7456 - - ---- "
        f"5/4/0/1/0 0/0 {{shop.example|x}} {REQUEST}"
    ),
    "HAProxy in syslog": one(
        "Mar 10 14:20:00 lb haproxy[881]: 203.0.113.7:4000 [10/Mar/2026:14:20:00.000] https~ shop/web1 "
        f"0/0/0/72/72 200 7456 - - ---- 5/4/0/1/0 0/0 {REQUEST}"
    ),
    "ALB": one(
        "h2 2026-03-10T14:20:00.000000Z app/shop/abc [2001:db8::7]:4000 10.0.0.1:80 0.1 0.1 0.0 200 200 225 "
        f'24950 "GET https://shop.example:443/p/7?x=1 HTTP/2.0" {AGENT} ECDHE TLSv1.2 -',
        OF_V6,
    ),
    "ELB": one(
        "2026-03-10T14:20:00.000000Z shop 203.0.113.7:2817 10.0.0.1:80 0.00 0.00 0.00 200 200 0 29 "
        f'"GET http://shop.example:80/p/7?x=1 HTTP/1.1" {AGENT} - -'
    ),
    "S3": one(
        f"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be shop [{CLF}] 203.0.113.7 - 3E57 "
        f"REST.GET.OBJECT p/7 {REQUEST} 200 - 113 - 7 - - {AGENT} -"
    ),
    "Envoy": one(
        f'[2026-03-10T14:20:00.000Z] {REQUEST} 200 - 0 154 0 - "6.6.6.6, 203.0.113.7, 10.0.0.1" {AGENT} "id"',
        trusted_proxies=TRUSTED,
    ),
    "Squid": one(
        "1773152400.000    921 203.0.113.7 TCP_MISS/200 507 GET http://shop/p/7?x=1 - DIRECT/10.0.0.1 -"
    ),
    "IIS": Log(
        [*IIS.split("\n"), "2026-03-10 14:20:00 10.0.0.1 GET /p/7 x=1 203.0.113.7 Mozilla/5.0+(X11) 200\r"],
        [VIEW],
    ),
    "CloudFront": Log(
        [
            *CLOUDFRONT.split("\n"),
            "2026-03-10\t14:20:00\tFRA2\t512\t203.0.113.7\tGET\tx.cloudfront.net\t/p/7\t200\t-\tM%20z\tx=1",
        ],
        [VIEW],
    ),
    "W3C whose fields change": Log(
        [
            "#Fields: date time c-ip cs-method cs-uri-stem sc-status",
            "2026-03-10 14:20:00 203.0.113.7 GET /p/7 200",
            "#Fields: c-ip date time sc-status cs-method cs-uri-stem",
            "203.0.113.7 2026-03-10 14:20:00 200 GET /p/7",
        ],
        [VIEW, VIEW],
    ),
    "syslog": one(f"Mar  1 14:20:00 web-1 nginx[812]: {PLAIN}"),
    "syslog with priority": one(f"<190>Mar 10 14:20:00 web-1 nginx: {PLAIN}"),
    "syslog, RFC 5424": one(f"<190>1 2026-03-10T14:20:00.0Z web-1 nginx 812 - - {PLAIN}"),
    "syslog, structured": one(f'<190>1 2026-03-10T14:20:00Z web-1 nginx 812 ID1 [a@1 b="c\\"]"][d] {PLAIN}'),
    "syslog and vhost": one(f"Mar 10 14:20:00 web-1 nginx[812]: shop.example:443 {PLAIN}"),
    "journalctl -o short-iso": one(f"2026-03-10T14:20:00+0000 web-1 nginx[812]: {PLAIN}"),
    "journalctl -o json": inside("MESSAGE", _PID="812", __REALTIME_TIMESTAMP="1773152400000000"),
    "docker compose": one(f"web-1  | {PLAIN}"),
    "docker compose, coloured": one(f"\x1b[36mweb-1  |\x1b[0m {PLAIN}"),
    "docker compose, times": one(f"web-1  | 2026-03-10T14:20:00.123456789Z {PLAIN}"),
    "docker compose, JSON": one(f"web-1  | {json.dumps(CADDY)}"),
    "Docker's json-file": inside("log", stream="stdout", time="2026-03-10T14:20:00.1Z"),
    "Docker's json-file, JSON": one({"log": json.dumps(CADDY) + "\n", "stream": "stdout", "time": "x"}),
    "CRI": one(f"2026-03-10T14:20:00.123456789Z stdout F {PLAIN}"),
    "CRI, JSON": one(f"2026-03-10T14:20:00.123456789+01:00 stdout F {json.dumps(CADDY)}"),
    "kubectl logs --prefix": one(f"[pod/web-1/nginx] {PLAIN}"),
    "docker service logs": one(f"shop_web.1.k2x8@node-1    | {PLAIN}"),
    "kubectl logs --prefix --timestamps": one(f"[pod/web-1/nginx] 2026-03-10T14:20:00.123Z {PLAIN}"),
    "CRI with more tags": one(f"2026-03-10T14:20:00.123456789Z stdout F:x {PLAIN}"),
    "stern": one(f"web-7d4b9c-x2x8z nginx {PLAIN}"),
    "stern, coloured, JSON": one(f"\x1b[36mweb-0\x1b[0m \x1b[96mcaddy\x1b[0m {json.dumps(CADDY)}"),
    "aws logs tail": one(f"2026-03-10T14:20:00.123000+00:00 web/nginx/5f3c0a {PLAIN}"),
    "aws logs tail --format short": one(f"2026-03-10T14:20:00 {PLAIN}"),
    "heroku logs": one(f"2026-03-10T14:20:00.123456+00:00 app[web.1]: {PLAIN}"),
    "journalctl -o short-monotonic": one(f"[12345.678901] web-1 nginx[812]: {PLAIN}"),
    "journalctl -o with-unit": one(f"Tue 2026-03-10 14:20:00 UTC web-1 nginx.service[812]: {PLAIN}"),
    "grep": one(f"/var/log/nginx/access.log.1:{PLAIN}"),
    "zgrep -n": one(f"access.log.2.gz:17:{PLAIN}"),
    "a virtual host with a hyphen": one(f"my-shop 203.0.113.7 - - {COMBINED}"),
    "Vector": inside("message", source_type="file"),
    "Caddy": one(CADDY),
    "Caddy behind a proxy": one(CADDY, ("198.51.100.9", *VIEW[1:]), trusted_proxies=["203.0.113.0/24"]),
    "Traefik": one(
        {
            "ClientAddr": "203.0.113.7:50000",
            "ClientHost": "203.0.113.7",
            "DownstreamStatus": 200,
            "RequestMethod": "GET",
            "RequestPath": "/p/7?x=1",
            "StartUTC": "2026-03-10T14:20:00.000000000Z",
            "time": "2026-03-10T14:20:09Z",
        }
    ),
    "nginx, JSON": one(
        {
            "time_iso8601": "2026-03-10T14:20:00+00:00",
            "remote_addr": "203.0.113.7",
            "request": "GET /p/7?x=1 HTTP/1.1",
            "status": "200",
        }
    ),
    "nginx, JSON of other names": one(
        {
            "@timestamp": "2026-03-10T14:20:00+00:00",
            "client": "203.0.113.7",
            "method": "GET",
            "uri": "/p/7?x=1",
            "status": 200,
        }
    ),
    "Envoy, JSON": one(
        {
            "start_time": "2026-03-10T14:20:00.000Z",
            "downstream_remote_address": "203.0.113.7:50000",
            "method": "GET",
            "path": "/p/7?x=1",
            "response_code": 200,
        }
    ),
    "Cloudflare": one(
        {
            "ClientIP": "203.0.113.7",
            "ClientRequestMethod": "GET",
            "ClientRequestURI": "/p/7?x=1",
            "EdgeResponseStatus": 200,
            "EdgeStartTimestamp": "2026-03-10T14:20:00Z",
        }
    ),
    "Google Cloud": one(
        {
            "httpRequest": {
                "remoteIp": "203.0.113.7",
                "requestMethod": "GET",
                "requestUrl": "https://shop.example/p/7?x=1",
                "status": 200,
            },
            "timestamp": "2026-03-10T14:20:00.000Z",
        }
    ),
    "log_format": given(
        "log_format main '$http_host $remote_addr:$remote_port '\n  '\"$request\" $status $msec';",
        f"shop.example 203.0.113.7:4000 {REQUEST} 200 1773152400.000",
    ),
    "log_format that begins with the time": given(
        "$time_iso8601 $remote_addr $request_method $request_uri $status",
        "2026-03-10T14:20:00+00:00 203.0.113.7 GET /p/7?x=1 200",
    ),
    "log_format with pipes": given(
        "$time_iso8601|$remote_addr|$request_method|$request_uri|$status",
        "2026-03-10T14:20:00+00:00|203.0.113.7|GET|/p/7?x=1|200",
    ),
    "log_format, forwarded": given(
        '$remote_addr [$time_local] "$http_x_forwarded_for" "$request" $status',
        f'10.0.0.5 [{CLF}] "6.6.6.6, 203.0.113.7" {REQUEST} 200',
        trusted_proxies=TRUSTED,
    ),
    "LogFormat": given(
        'LogFormat "%v:%p %h %l %u %t \\"%r\\" %>s %O" vhost',
        f"shop.example:443 203.0.113.7 - - [{CLF}] {REQUEST} 200 9",
    ),
    "LogFormat with a time of its own": given(
        "%{%d.%m.%Y %H:%M:%S}t;%a;%m;%U%q;%>s", "10.03.2026 14:20:00;203.0.113.7;GET;/p/7?x=1;200"
    ),
    "LogFormat in syslog": given(
        '%h %t "%r" %>s', f"Mar 10 14:20:00 web-1 httpd[1]: 203.0.113.7 [{CLF}] {REQUEST} 200"
    ),
}


def parser(log: Log) -> Parser:
    settings = Settings(_env_file=None)
    found = recognised("\n".join(log.lines).encode(), log.reading, decoder_of(settings), settings.field_names)
    assert not isinstance(found, str), found
    return found.parse


def rows(block: Block) -> Iterator[Row]:
    clicks = block.clicks
    requests = clicks.requests or [Request("", 0)] * len(clicks.users)
    for user, event, product, time, request in zip(
        clicks.users, clicks.events, clicks.products, clicks.times.tolist(), requests, strict=True
    ):
        yield user, event, product if product is None else str(product), time, *request


def accounted(block: Block) -> int:
    return len(block.clicks.users) + len(block.bad) + block.blank


@pytest.mark.parametrize("name", LOGS)
def test_the_lines_are_these_clicks(name: str) -> None:
    log = LOGS[name]
    block = parser(log)("\n".join(log.lines).encode(), 1)
    assert (list(rows(block)), block.bad) == (log.rows, [])
    assert accounted(block) == block.lines == len(log.lines)


@pytest.mark.parametrize("name", LOGS)
def test_of_many_lines_they_are_the_same(name: str) -> None:
    log = LOGS[name]
    lines = log.lines + log.lines[-1:] * 200
    block = parser(log._replace(lines=lines))("\n".join(lines).encode(), 1)
    assert (list(rows(block)), block.bad) == (log.rows + log.rows[-1:] * 200, [])


@pytest.mark.parametrize("name", LOGS)
def test_cut_anywhere_the_clicks_are_the_same(name: str) -> None:
    log = LOGS[name]
    lines = [line.encode() for line in log.lines * 3]
    lines[1:1] = [b"", b"no line of it"]
    for cut in range(1, len(lines)):
        parse = parser(log)
        blocks = [parse(b"\n".join(lines[:cut]) + b"\n", 1), parse(b"\n".join(lines[cut:]), cut + 1)]
        assert [row for block in blocks for row in rows(block)] == log.rows * 3
        assert [number for block in blocks for number, _ in block.bad] == [3]
        assert sum(map(accounted, blocks)) == len(lines)


@pytest.mark.parametrize("name", LOGS)
def test_of_mutated_lines_each_is_accounted_for(name: str) -> None:
    log = LOGS[name]
    randomly = random.Random(name)
    parse = parser(log)
    lines = [mutated(line.encode(), randomly) for _ in range(1000 // len(log.lines)) for line in log.lines]
    first = 1
    while lines:
        size = randomly.randint(1, 100)
        data = b"\n".join(lines[:size])
        block = parse(data + b"\n", first)
        assert block.lines == accounted(block) == data.count(b"\n") + 1
        assert all(first <= number < first + block.lines for number, _ in block.bad)
        assert all(0 < len(user) <= 256 for user in block.clicks.users)
        lines = lines[size:]
        first += block.lines


def mutated(line: bytes, randomly: random.Random) -> bytes:
    for _ in range(randomly.randint(1, 3)):
        at = randomly.randint(0, len(line))
        piece = bytes(randomly.choices(b'"\\[]{}:, \t\r\n#?%|-019zG\x00\xff\xc3', k=randomly.randint(0, 4)))
        line = line[:at] + piece + line[at + randomly.choice((0, 1, 5, 40)) :]
    return line


@pytest.mark.parametrize(
    "name",
    ["combined", "vhost", "HAProxy", "ALB", "syslog", "LogFormat", "IIS", "time first", "stern", "grep"],
)
@pytest.mark.parametrize(
    "piece", [" ", ".log", "a-", '"', "\\", "[", "a ", '" ', ", ", "1.1.1.1, ", "[10/Mar/2026:"]
)
def test_no_line_is_slow(name: str, piece: str) -> None:
    log = LOGS[name]
    begin = log.lines[-1].partition('"')[0]
    block = parser(log)(f"{begin[:30]}{piece * 20_000}\n{begin}{piece * 20_000}".encode(), 1)
    assert accounted(block) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("$status $request", "must say who"),
        ("%h %r", "must say who"),
        ("nonsense", "must say who"),
    ],
)
def test_a_format_without_who_or_when_is_refused(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        layout_of(text)


@pytest.mark.parametrize(
    "reading", [Reading(trusted_proxies=["proxy"]), Reading(trusted_proxies=["10.0.0.0/33"])]
)
def test_a_proxy_that_is_no_address_is_refused(reading: Reading) -> None:
    with pytest.raises(SettingsError, match="neither an address nor a network"):
        reading.clients()


def test_a_log_that_only_a_header_says_the_client_of_is_refused_without_trusted_proxies() -> None:
    settings = Settings(_env_file=None)
    log = LOGS["Envoy"]
    for reading in (Reading(), Reading(layout_of('%{X-Forwarded-For}i %t "%r"'))):
        found = recognised(log.lines[0].encode(), reading, decoder_of(settings), settings.field_names)
        assert isinstance(found, str)
        assert "--trusted-proxies" in found


def test_a_client_that_is_none_is_no_user() -> None:
    log = Log([PLAIN, f"unix: - - {COMBINED}", f"web-1 - - {COMBINED}", f"- - - {COMBINED}"], [VIEW])
    block = parser(log)("\n".join(log.lines).encode(), 1)
    assert list(rows(block)) == log.rows
    assert [number for number, reason in block.bad if "neither an address nor a host name" in reason] == [
        2,
        3,
        4,
    ]
