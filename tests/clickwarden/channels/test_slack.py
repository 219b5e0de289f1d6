import asyncio
import json
from collections.abc import Iterator

import msgspec
import pytest

from clickwarden.channels.message import message_of, message_of_many, probe
from clickwarden.channels.slack import SlackSender, fallback
from clickwarden.errors import ChannelError
from tests.channels import NASTY, Sink, Slack, case, channel, raw, sink

TOKEN = "xoxb-1234-geheim"
PAGE = "https://clickwarden.shop.example/"


@pytest.fixture
def slack() -> Slack:
    return Slack(TOKEN)


@pytest.fixture
def server(slack: Slack) -> Iterator[Sink]:
    with sink(slack) as server:
        yield server


def sender(server: Sink, token: str = TOKEN, place: str = "C0123ABCD") -> SlackSender:
    return SlackSender(channel(f"slackbot://{place}?api=http://{server.host}/api/", token))


async def test_an_incident_is_a_message_with_its_stages_in_the_thread(slack: Slack, server: Sink) -> None:
    slackbot = sender(server)
    opening = message_of(case(), "opening", PAGE)
    worse = message_of(case(count_high=20_000), "escalation", PAGE, "5")
    end = message_of(case(ongoing=False), "end", PAGE)
    first = await slackbot.send(opening)
    assert first.reference == "C0123ABCD/1773152400.000000"
    for later in (worse, end):
        assert (await slackbot.send(later, first.reference)).reference == first.reference
    top, *thread = slack.messages.values()
    assert [reply["thread_ts"] for reply in thread] == ["1773152400.000000"] * 2
    assert "thread_ts" not in top
    assert top["text"] == end.title, "what it came to"
    assert [reply["text"] for reply in thread] == [worse.title, end.title]
    assert top["blocks"] == thread[1]["blocks"] != thread[0]["blocks"]


async def test_what_was_told_of_several_at_once_stays_when_one_is_over(slack: Slack, server: Sink) -> None:
    slackbot = sender(server)
    burst = message_of_many([case("eve"), case()], "burst", "2026-03-10T14:20:00Z", PAGE)
    first = await slackbot.send(burst)
    await slackbot.send(message_of(case(ongoing=False), "end", PAGE), first.reference)
    top, reply = slack.messages.values()
    assert top["text"] == burst.title
    assert reply["thread_ts"] == "1773152400.000000"


async def test_where_the_first_message_was_deleted_the_later_one_is_told_all_the_same(
    slack: Slack, server: Sink
) -> None:
    slackbot = sender(server)
    first = await slackbot.send(message_of(case(), "opening", PAGE))
    for stage in ("escalation", "end"):
        slack.messages.clear()
        later = await slackbot.send(message_of(case(), stage, PAGE), first.reference)
        assert later.reference == "C0123ABCD/1773152400.000000"
        assert ["thread_ts" in message for message in slack.messages.values()] == [False]


async def test_where_the_first_message_may_not_be_changed_the_thread_goes_on(
    slack: Slack, server: Sink
) -> None:
    slackbot = sender(server)
    opening = message_of(case(), "opening", PAGE)
    first = await slackbot.send(opening)
    slack.fixed = True
    assert await slackbot.send(message_of(case(), "end", PAGE), first.reference) == (first.reference, "ok")
    top, reply = slack.messages.values()
    assert top["text"] == opening.title
    assert reply["thread_ts"] == "1773152400.000000"


@pytest.mark.parametrize("api", ["http://slack.example/api/", "ftp://127.0.0.1/", "//127.0.0.1/"])
def test_a_token_is_not_sent_for_everybody_to_read(api: str) -> None:
    with pytest.raises(ValueError, match=r"^url: api must begin with https://"):
        SlackSender(channel(f"slackbot://C0123ABCD?api={api}", TOKEN))


async def test_it_says_all_that_the_message_says_and_links_to_the_page(slack: Slack, server: Sink) -> None:
    message = probe("k", "2026-03-10T14:20:00Z", PAGE)
    message = msgspec.structs.replace(message, feedback=f"{PAGE}feedback/a.1.b")
    await sender(server).send(message)
    (posted,) = slack.messages.values()
    told = [element for section in posted["blocks"][0]["elements"] for element in section["elements"]]
    said = "\n".join(element["text"] for element in told)
    for text in (message.mark, message.title, *(fact.text for fact in message.facts)):
        assert text in said
    assert [element["url"] for element in told if element["type"] == "link"] == [message.feedback, PAGE]
    assert posted["unfurl_links"] is posted["unfurl_media"] is False


@pytest.mark.parametrize("user_id", NASTY)
async def test_no_id_is_anything_but_text(user_id: str, slack: Slack, server: Sink) -> None:
    for message in (
        message_of(case(user_id), "opening", ""),
        message_of_many([case(user_id), case()], "k", "2026-03-10T14:20:00Z", ""),
    ):
        await sender(server).send(message)
        posted = list(slack.messages.values())[-1]
        sections = [section for block in posted["blocks"] for section in block["elements"]]
        types = {element["type"] for section in sections for element in section["elements"]}
        assert types == {"text"}
        # By Slack's rules nothing but <…> is more than text, as long as it is not asked to look for names.
        assert not {"<", ">"} & set(posted["text"])
        assert posted["parse"] == "none"
        assert posted["link_names"] is posted["mrkdwn"] is False


def test_what_a_notification_shows_is_escaped_by_slacks_rules() -> None:
    message = message_of(case("R&D"), "opening", "")
    assert fallback(message).startswith("R&amp;D: ")


@pytest.mark.parametrize(
    ("error", "again", "said"),
    [
        ("ratelimited", 30.0, "429 ratelimited"),
        ("invalid_auth", None, "200 invalid_auth: the secret is no token of Slack's"),
        ("not_in_channel", None, "200 not_in_channel: invite the bot: /invite @Clickwarden in the channel"),
        ("channel_not_found", None, "200 channel_not_found: write the channel's id"),
        ("invalid_blocks", None, "200 invalid_blocks"),
        ("internal_error", 0.0, "200 internal_error"),
        ("500", 0.0, "500"),
        ("503", 0.0, "503"),
        ("404", None, "404"),
        ("garbage", 0.0, ""),
        ("text", 0.0, ""),
        ("half", 0.0, ""),
    ],
)
async def test_what_slack_refuses(
    error: str, again: float | None, said: str, slack: Slack, server: Sink
) -> None:
    slack.error = error
    with pytest.raises(ChannelError) as raised:
        await sender(server).send(probe("k", "2026-03-10T14:20:00Z", PAGE))
    assert raised.value.again == again
    assert raised.value.perhaps == (error in ("garbage", "text", "half")), "who says so has not taken it"
    assert str(raised.value).startswith(said)
    assert TOKEN not in str(raised.value)
    assert len(server.received) == 1


async def test_a_wrong_token_is_never_right_by_itself(slack: Slack, server: Sink) -> None:
    with pytest.raises(ChannelError, match="invalid_auth") as raised:
        await sender(server, "xoxb-wrong").send(probe("k", "2026-03-10T14:20:00Z", PAGE))
    assert raised.value.again is None
    assert slack.messages == {}


async def test_nobody_there_may_be_there_later() -> None:
    with sink() as server:
        slackbot = sender(server)
    with pytest.raises(ChannelError, match="cannot be reached: connection refused") as raised:
        await slackbot.send(probe("k", "2026-03-10T14:20:00Z", PAGE))
    assert (raised.value.again, raised.value.perhaps) == (0, False)


async def test_who_sends_decides_when_to_try_again() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")  # took it, or not: nobody knows

    async with raw(hang_up) as (host, connections):
        slackbot = SlackSender(channel(f"slackbot://C0123ABCD?api=http://{host}/api/", TOKEN))
        with pytest.raises(ChannelError) as raised:
            await slackbot.send(probe("k", "2026-03-10T14:20:00Z", PAGE))
    assert (raised.value.again, raised.value.perhaps) == (0, True)
    assert len(connections) == 1


async def test_a_token_is_in_a_header_and_nowhere_else(server: Sink) -> None:
    await sender(server).send(probe("k", "2026-03-10T14:20:00Z", PAGE))
    (request,) = server.received
    assert request.headers.pop("authorization") == f"Bearer {TOKEN}"
    assert TOKEN not in f"{request.path} {request.headers} {json.dumps(request.json)}"
