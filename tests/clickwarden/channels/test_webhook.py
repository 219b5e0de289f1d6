import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from clickwarden.channels.message import message_of, message_of_many, probe
from clickwarden.channels.webhook import WebhookSender, body_of
from clickwarden.errors import ChannelError
from tests.channels import NASTY, Reply, Sink, case, channel, raw, sink

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the specification's example
MESSAGE = probe("k", "2026-03-10T14:20:00Z", "https://clickwarden.shop.example/")


def sender(server: Sink, secret: str = SECRET) -> WebhookSender:
    return WebhookSender(channel(f"webhook+http://{server.host}/hooks/in?tenant=7", secret))


async def refused(server: Sink) -> ChannelError:
    with pytest.raises(ChannelError) as raised:
        await sender(server).send(MESSAGE)
    return raised.value


async def test_who_has_the_secret_can_tell_that_it_is_ours() -> None:
    with sink() as server:
        answer = await sender(server).send(MESSAGE)
        (request,) = server.received
    assert (request.method, request.path) == ("POST", "/hooks/in?tenant=7")
    assert request.headers["content-type"] == "application/json"
    verified = Webhook(SECRET).verify(request.body, request.headers)
    assert verified["type"] == "incident.test"
    assert verified["timestamp"] == "2026-03-10T14:20:00Z"
    assert verified["data"]["mark"] == MESSAGE.mark
    assert answer == ("k.test", "200 OK ok")
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body.replace(b"bot", b"bat"), request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(request.body, request.headers)
    assert SECRET not in f"{request}"


async def test_what_is_sent_twice_can_be_told_by_its_id() -> None:
    with sink() as server:
        webhook = sender(server)
        for message in (MESSAGE, MESSAGE, message_of(case(), "end", "")):
            await webhook.send(message)
        ids = [request.headers["webhook-id"] for request in server.received]
        bodies = [request.body for request in server.received]
    assert ids == ["k.test", "k.test", "e1fed9de55ec615495aece53a70f57fc.end"]
    assert bodies[0] == bodies[1] != bodies[2]


async def test_it_has_the_link_by_which_people_say_what_it_was() -> None:
    asked = msgspec.structs.replace(MESSAGE, feedback="https://clickwarden.shop.example/feedback/a.1.b")
    assert json.loads(body_of(asked))["data"]["feedback"] == asked.feedback
    assert "feedback" not in json.loads(body_of(MESSAGE))["data"]


async def test_it_holds_each_incident_for_machines() -> None:
    cases = [case(f"user-{n}", incident_id=f"{n:032x}", peak=51 + n) for n in range(500)]
    with sink() as server:
        await sender(server).send(message_of_many(cases, "burst", "2026-03-10T14:21:00Z", ""))
        data = server.received[0].json["data"]
    assert data["title"] == "500 users in 500 incidents"
    assert {one["user_id"] for one in data["incidents"]} == {one.user_id for one in cases}
    assert "link" not in data


@pytest.mark.parametrize("user_id", NASTY)
async def test_an_id_comes_as_it_was_and_the_signature_holds(user_id: str) -> None:
    with sink() as server:
        await sender(server).send(message_of(case(user_id), "opening", ""))
        (request,) = server.received
    verified = Webhook(SECRET).verify(request.body, request.headers)
    assert verified["data"]["incidents"][0]["user_id"] == user_id
    assert not {"\r", "\n"} & set("".join(request.headers.values()))


@pytest.mark.parametrize(
    ("status", "headers", "again", "said"),
    [
        (429, {"Retry-After": "30"}, 30.0, "429 "),
        (429, {"Retry-After": "999999999"}, 3600.0, "429 "),
        (429, {"Retry-After": "soon"}, 0.0, "429 "),
        (503, {}, 0.0, "503 "),
        (500, {}, 0.0, "500 "),
        (400, {}, None, "400 "),
        (401, {}, None, "401 "),
        (403, {}, None, "403 "),
        (404, {}, None, "404 "),
        (410, {}, None, "410 "),
    ],
)
async def test_what_an_answer_means(
    status: int, headers: dict[str, str], again: float | None, said: str
) -> None:
    with sink(lambda request: Reply(status, headers, b"no \x1b[2J" + SECRET.encode())) as server:
        raised = await refused(server)
    assert raised.again == again
    assert str(raised).startswith(said)
    assert r"no \x1b[2J…" in str(raised)
    assert SECRET not in str(raised)


async def test_a_date_says_when_too() -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    with sink(lambda request: Reply(503, {"Retry-After": then})) as server:
        raised = await refused(server)
    assert raised.again is not None
    assert 80 < raised.again <= 90


async def test_who_took_a_message_and_does_not_say_so_has_it_perhaps() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with raw(hang_up) as (host, _):
        with pytest.raises(ChannelError) as raised:
            await WebhookSender(channel(f"webhook+http://{host}/", SECRET)).send(MESSAGE)
    assert (raised.value.again, raised.value.perhaps) == (0, True)
    with pytest.raises(ChannelError) as raised:  # nobody is there any more
        await WebhookSender(channel(f"webhook+http://{host}/", SECRET)).send(MESSAGE)
    assert (raised.value.again, raised.value.perhaps) == (0, False)


@pytest.mark.parametrize(("status", "perhaps"), [(500, False), (429, False), (502, True), (504, True)])
async def test_who_stands_in_between_does_not_know(status: int, perhaps: bool) -> None:
    with sink(lambda request: Reply(status)) as server:
        assert (await refused(server)).perhaps == perhaps


async def test_a_redirect_is_not_followed() -> None:
    with (
        sink() as elsewhere,
        sink(lambda request: Reply(307, {"Location": f"http://{elsewhere.host}/"})) as server,
    ):
        raised = await refused(server)
        assert elsewhere.received == []
    assert raised.again is None
    assert "a redirect is not followed" in str(raised)


async def test_of_an_answer_without_an_end_little_is_read() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Oops\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with raw(answer) as (host, _):
        with pytest.raises(ChannelError) as raised:
            await WebhookSender(channel(f"webhook+http://{host}/", SECRET)).send(MESSAGE)
    assert str(raised.value).startswith("500 Oops xxx")
    assert len(str(raised.value)) <= 200


async def test_what_was_taken_is_taken_also_when_the_words_do_not_come() -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n")

    async with raw(break_off) as (host, _):
        sender = WebhookSender(channel(f"webhook+http://{host}/", SECRET))
        assert await sender.send(MESSAGE) == ("k.test", "202 Accepted")


@pytest.mark.parametrize(
    ("url", "secret", "fault"),
    [
        ("webhook+https://siem.example/", "", "secret: is missing"),
        ("webhook+https://siem.example/", "geheim", "secret: is not whsec_ and 24 to 64 bytes in Base64"),
        ("webhook+https://siem.example/", "whsec_c2hvcnQ=", "secret: is not whsec_ and 24 to 64 bytes"),
        ("webhook+https://siem.example/", "whsec_geheim!" + "A" * 40, "secret: is not whsec_ and"),
        ("webhook+https://a:geheim@siem.example/", SECRET, "url: has a password in it"),
        ("webhook+https:///x", SECRET, "url: names no host"),
        ("webhook+https://siem.example:x/", SECRET, "url: is no URL"),
    ],
)
def test_what_cannot_be_one(url: str, secret: str, fault: str) -> None:
    with pytest.raises(ValueError, match=f"^{fault}") as raised:
        WebhookSender(channel(url, secret))
    assert "geheim" not in str(raised.value)


def test_the_page_shows_what_is_sent() -> None:
    """docs/channels.md has a body with each field that there is."""
    page = Path(__file__).parents[3] / "docs" / "channels.md"
    (shown,) = [block for block in page.read_text().split("```json\n")[1:] if "incident.opening" in block]
    documented = json.loads(shown.partition("```")[0])
    message = message_of(case(severity="high"), "opening", "https://clickwarden.shop.example/")
    sent = json.loads(body_of(msgspec.structs.replace(message, feedback=message.link)))
    assert documented.keys() == sent.keys()
    assert documented["data"].keys() == sent["data"].keys()
    assert documented["data"]["incidents"][0].keys() == sent["data"]["incidents"][0].keys()
