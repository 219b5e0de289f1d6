"""Slack, as a bot: an incident is a message, its later stages are the message's thread."""

import re
from html import escape
from http import HTTPStatus
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from clickwarden.channels.channel import PATIENCE, Answer, Channel, address
from clickwarden.channels.message import Message
from clickwarden.channels.posting import UNKNOWN, again, unreachable
from clickwarden.channels.rendering import ASKED
from clickwarden.errors import ChannelError

SLACK = "https://slack.com/api/"
#: Of a new message: nothing of it is looked at for markup, and no link is shown as what it leads to.
PLAIN = {"unfurl_links": False, "unfurl_media": False, "mrkdwn": False}
#: Errors of Slack's own, which pass.
PASSING = (
    "ratelimited",
    "rate_limited",
    "message_limit_exceeded",
    "internal_error",
    "fatal_error",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
)
#: The first message is not there any more; or it is, and may not be changed.
GONE = ("message_not_found", "thread_not_found")
FIXED = ("cant_update_message", "edit_window_closed")
CURES = {
    "not_in_channel": "invite the bot: /invite @Clickwarden in the channel",
    "channel_not_found": "write the channel's id, which Slack shows at the end of its details, and into a "
    "private channel invite the bot",
    "is_archived": "unarchive the channel, or name another",
    "invalid_auth": "the secret is no token of Slack's",
    "not_authed": "the secret is no token of Slack's",
    "token_revoked": "install the app again, and take its new token",
    "token_expired": "install the app again, and take its new token",
    "account_inactive": "install the app again, and take its new token",
    "missing_scope": "give the app the scope chat:write, and install it again",
    "restricted_action": "a rule of the workspace forbids it; ask who administers it",
}


class SlackSender:
    """Posts with a bot's token; what an incident came to is also put in place of its first message.

    A message is made of rich text, in which each text is literal, whatever it looks like.

    Raises:
        ValueError: url or secret cannot be one's.
    """

    repeat: float | None = None

    def __init__(self, channel: Channel) -> None:
        split, parameters = address(channel, {"api": f"where Slack's API is, if not {SLACK}"})
        if not channel.secret.reveal().startswith("xoxb-"):
            raise ValueError(
                'secret: is no bot token, which begins with xoxb-; write secret = "${NAME}" for the one that '
                "Slack shows under OAuth & Permissions"
            )
        api = parameters.get("api", SLACK)
        if not re.match(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])[:/]", api):
            raise ValueError("url: api must begin with https://, or everybody on the way can read the token")
        self._channel = channel
        self._to = split.netloc  # as it is written: an id is in capitals
        self._client = AsyncWebClient(
            channel.secret.reveal(),
            base_url=api,
            timeout=int(PATIENCE),
            retry_handlers=[],  # whoever sends knows when to try again, and that it may be twice
        )

    async def send(self, message: Message, earlier: str = "") -> Answer:
        """Post it, in the thread of what the reference names: a channel's id, and a time stamp of Slack's.

        A first message that was about several incidents stays as it is when one of them is over.

        Raises:
            ChannelError: it was not taken.
        """
        content: dict[str, Any] = {"blocks": blocks(message), "text": fallback(message)}
        place, first, several = (*earlier.split("/"), "", "")[:3]
        thread = {"thread_ts": first} if first else {}
        if first and not several and message.stage == "end":
            try:  # before what could be there twice: this may be done again
                await self._call("chat.update", content | {"channel": place, "ts": first})
            except _RefusedError as refused:
                if refused.word in GONE:
                    thread = {}
                elif refused.word not in FIXED:
                    raise
            except ChannelError as error:
                error.perhaps = False  # what was perhaps changed is changed again, and nobody sees it twice
                raise
        content |= {"channel": place or self._to, **PLAIN}
        try:
            posted = await self._call("chat.postMessage", content | thread)
        except _RefusedError as refused:
            if not thread or refused.word not in GONE:
                raise
            thread = {}
            posted = await self._call("chat.postMessage", content)
        if thread:
            return Answer(earlier, "ok")
        several = "/several" if len(message.cases) > 1 else ""
        return Answer(f"{posted['channel']}/{posted['ts']}{several}", "ok")

    async def _call(self, method: str, given: dict[str, Any]) -> AsyncSlackResponse:
        """What Slack answers.

        Raises:
            ChannelError: it refused, or nobody answered.
        """
        literal = {"parse": "none", "link_names": False}
        try:
            response = await self._client.api_call(method, json=given | literal)
            _ = response["ok"], response["channel"], response["ts"]
        except SlackApiError as error:
            raise self._refusal(error) from None
        except Exception as error:  # the SDK looks into an answer before it knows that it is one
            unreachable(self._channel, error)
        return response

    def _refusal(self, error: SlackApiError) -> "_RefusedError":
        response = error.response  # of Slack, or, where it is nothing Slack says, of aiohttp
        data = getattr(response, "data", None)
        word = str(data.get("error", "")) if isinstance(data, dict) else ""
        status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
        when = again(status, response.headers)
        if word in PASSING or (not word and status < HTTPStatus.BAD_REQUEST):
            when = when or 0.0
        words = f"{status} {word}" + (f": {CURES[word]}" if word in CURES else "")
        perhaps = not word and (status < HTTPStatus.BAD_REQUEST or status in UNKNOWN)
        return _RefusedError(self._channel.inert(words), again=when, word=word, perhaps=perhaps)


class _RefusedError(ChannelError):
    """Slack refused; ``word`` is its own for why."""

    def __init__(self, why: str, *, again: float | None, word: str, perhaps: bool) -> None:
        super().__init__(why, again=again, perhaps=perhaps)
        self.word = word


def blocks(message: Message) -> list[dict[str, Any]]:
    """The message as a block of rich text."""
    sections = [_section(_bold(message.mark))] if message.mark else []
    sections.append(_section(_bold(message.title)))
    sections += [
        _section(_bold(fact.about), {"type": "text", "text": f"  {fact.text}"}) for fact in message.facts
    ]
    if message.feedback:
        sections.append(_section({"type": "link", "url": message.feedback, "text": ASKED}))
    if message.link:
        sections.append(_section({"type": "link", "url": message.link, "text": "See it on the page"}))
    return [{"type": "rich_text", "elements": sections}]


def fallback(message: Message) -> str:
    """What a notification shows, escaped as Slack has it: https://docs.slack.dev/messaging/formatting-message-text."""
    return escape(" ".join(filter(None, (message.mark, message.title))), quote=False)


def _section(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "rich_text_section", "elements": list(elements)}


def _bold(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "style": {"bold": True}}
