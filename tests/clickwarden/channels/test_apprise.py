import asyncio
import io
import json
import logging
import re
import threading
from html import unescape
from urllib.parse import unquote_plus

import pytest

from clickwarden.channels.apprise import AppriseSender
from clickwarden.channels.message import NAMED, Message, message_of, message_of_many, probe
from clickwarden.channels.rendering import text
from clickwarden.errors import ChannelError
from tests.channels import NASTY, Received, Reply, case, channel, sink

#: Some of its plugins import it.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")

PAGE = "https://clickwarden.shop.example/"
MESSAGE = probe("k", "2026-03-10T14:20:00Z", PAGE)
#: Kinds of channel that may be one's own server, each with markup of its own; the host is put in.
OWN = {
    "json": "json://{}/hooks/x",
    "xml": "xml://{}/hooks/x",
    "form": "form://{}/hooks/x",
    "Gotify (Markdown)": "gotify://{}/abcdefghijklmno?format=markdown",
    "ntfy": "ntfy://{}/topic",
    "Mattermost (Markdown)": "mmost://{}/3ccdd113474722377935511fc85d3dd4",
    "Rocket.Chat": "rocket://abcdefgh1/8YQdn1gY8YQdn1gY8YQdn1gY@{}/#ops?mode=webhook",
    "JSON (Markdown)": "json://{}/hooks/x?format=markdown",
}
#: What would be one in some of them.
HARM = (
    "<!",
    "<@",
    "<#",
    "<script",
    "<img",
    "<svg",
    "@every",
    "@channel",
    "@here",
    "@all",
    "evil.ex",
    "](http",
)


def said(requests: list[Received]) -> str:
    """All text that was sent, without the escapes of what carried it."""
    found = []
    for request in requests:
        try:
            found.append(json.dumps(request.json, ensure_ascii=False))
        except ValueError:
            body = request.body.decode()
            found.append(unescape(body) if body.startswith("<?xml") else unquote_plus(body))
    return "\n".join(found)


async def test_json_as_apprise_writes_it() -> None:
    with sink() as server:
        answer = await AppriseSender(channel(f"json://{server.host}/alerts")).send(MESSAGE)
        (request,) = server.received
    assert (request.method, request.path) == ("POST", "/alerts")
    assert request.json["title"] == MESSAGE.title
    assert request.json["message"] == text(MESSAGE)
    assert request.json["type"] == "info"
    assert answer.words


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (message_of(case(), "opening", ""), "warning"),
        (message_of(case(), "escalation", ""), "warning"),
        (message_of(case(ongoing=False), "end", ""), "success"),
        (message_of_many([case()], "k", "2026-03-10T14:20:00Z", ""), "warning"),
    ],
)
async def test_what_is_over_is_no_warning(message: Message, kind: str) -> None:
    with sink() as server:
        await AppriseSender(channel(f"json://{server.host}")).send(message)
    assert server.received[0].json["type"] == kind


@pytest.mark.parametrize(
    ("status", "again"),
    [(401, None), (403, None), (404, None), (400, None), (429, 0.0), (500, 0.0), (503, 0.0)],
)
async def test_what_an_answer_means(status: int, again: float | None) -> None:
    with sink(lambda request: Reply(status)) as server, pytest.raises(ChannelError) as raised:
        await AppriseSender(channel(f"json://{server.host}")).send(MESSAGE)
    assert f"error={status}" in str(raised.value)
    assert raised.value.again == again


async def test_nobody_there_may_be_there_later() -> None:
    with sink() as server:
        sender = AppriseSender(channel(f"json://{server.host}"))
    with pytest.raises(ChannelError, match="Connection error") as raised:
        await sender.send(MESSAGE)
    assert raised.value.again == 0


async def test_a_redirect_is_not_followed() -> None:
    with sink() as elsewhere, sink() as server:
        server.reply = lambda request: Reply(307, {"Location": f"http://{elsewhere.host}/"})
        with pytest.raises(ChannelError, match="a redirect is not followed"):
            await AppriseSender(channel(f"json://{server.host}")).send(MESSAGE)
        assert elsewhere.received == []


@pytest.mark.parametrize("kind", OWN)
async def test_no_id_is_a_mention_a_link_or_markup_in_any_kind_of_channel(kind: str) -> None:
    cases = [case(user_id, incident_id=f"{n:032x}") for n, user_id in enumerate(NASTY)]
    told = ""
    with sink() as server:
        for first in range(0, len(cases), NAMED):
            message = message_of_many(cases[first:][:NAMED], "k", "2026-03-10T14:20:00Z", "")
            await AppriseSender(channel(OWN[kind].format(server.host))).send(message)
        told = said(server.received)
    assert told.replace("\\", "").count("evil[.]example") == len(
        re.findall("evil[.。]example", " ".join(NASTY))
    )
    assert [harm for harm in HARM if harm in told.lower()] == []


async def test_what_hangs_holds_up_nobody_and_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clickwarden.channels.apprise.PATIENCE", 2.0)
    answered = threading.Event()

    def hang(request: Received) -> Reply:
        answered.wait(20)
        return Reply()

    with sink(hang) as server, sink() as healthy:
        hung = AppriseSender(channel(f"json://{server.host}?rto=20"))
        waiting = asyncio.create_task(hung.send(MESSAGE))
        await AppriseSender(channel(f"json://{healthy.host}")).send(MESSAGE)
        with pytest.raises(ChannelError, match="no answer in time"):
            await waiting
        with pytest.raises(ChannelError, match="the message before has not been answered yet"):
            await hung.send(MESSAGE)
        assert len(server.received) == 1
        answered.set()
        (thread,) = [one for one in threading.enumerate() if one.name == "there"]
        await asyncio.to_thread(thread.join)
        await asyncio.sleep(0)
        server.reply = lambda request: Reply()
        await hung.send(MESSAGE)


@pytest.mark.parametrize("url", ["nope://geheim123", "slack://geheim123", "json://", "mailto://geheim123"])
def test_apprise_says_which_urls_are_some(url: str) -> None:
    with pytest.raises(ValueError, match=r"^url: Apprise does not take it") as raised:
        AppriseSender(channel(url))
    assert "geheim123" not in str(raised.value)


async def test_nothing_of_it_is_logged_where_secrets_may_stand_in_it() -> None:
    log = io.StringIO()
    handler, root = logging.StreamHandler(log), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    try:
        with sink() as server:
            sender = AppriseSender(channel(f"json://me:geheim123@{server.host}/geheim456/"))
            await sender.send(MESSAGE)
            server.reply = lambda request: Reply(500, {}, b"geheim456")
            with pytest.raises(ChannelError):
                await sender.send(MESSAGE)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert server.received[0].path == "/geheim456/"
    assert "geheim" not in log.getvalue()
    assert "notification" not in log.getvalue()
