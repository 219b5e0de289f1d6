"""Slack, as a bot: an incident is a message, its later stages are the message's thread."""

from html import escape
from http import HTTPStatus
from typing import Any, NoReturn

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from clickwarden.channels.channel import PATIENCE, Answer, Channel, address
from clickwarden.channels.message import Message
from clickwarden.channels.posting import again, unreachable
from clickwarden.errors import ChannelError

SLACK = "https://slack.com/api/"
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
#: The first message is not there any more, or may not be changed.
GONE = ("message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed")
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
        self._channel = channel
        self._to = split.netloc  # as it is written: an id is in capitals
        self._client = AsyncWebClient(
            channel.secret.reveal(),
            base_url=parameters.get("api", SLACK),
            timeout=int(PATIENCE),
            retry_handlers=[],  # whoever sends knows when to try again, and that it may be twice
        )

    async def send(self, message: Message, earlier: str = "") -> Answer:
        """Post it, in the thread of what the reference names: a channel's id, and a time stamp of Slack's.

        A first message that was about several incidents stays as it is when one of them is over.

        Raises:
            ChannelError: it was not taken.
        """
        content = {"blocks": blocks(message), "text": fallback(message)}
        place, first, several = (*earlier.split("/"), "", "")[:3]
        there = True
        if first and not several and message.stage == "end":
            # Before what could be there twice: this may be done again.
            changed = await self._call("chat.update", content | {"channel": place, "ts": first})
            there = changed is not None
        quiet = {"unfurl_links": False, "unfurl_media": False, "mrkdwn": False}
        posted = None
        if first and there:
            posted = await self._call(
                "chat.postMessage", content | quiet | {"channel": place, "thread_ts": first}
            )
        if posted is None:
            posted = await self._call("chat.postMessage", content | quiet | {"channel": place or self._to})
        if posted is None:
            raise ChannelError("the message is not there", again=None)
        reference = f"{posted['channel']}/{posted['ts']}" + ("/several" if len(message.cases) > 1 else "")
        return Answer(earlier or reference, "ok")

    async def _call(self, method: str, given: dict[str, Any]) -> Any | None:
        """What Slack answers; None where the message it is about is gone.

        Raises:
            ChannelError: it refused.
        """
        try:
            response = await self._client.api_call(
                method, json=given | {"parse": "none", "link_names": False}
            )
            _ = response["ok"], response["channel"], response["ts"]
        except SlackApiError as error:
            if _said(error) in GONE:
                return None
            self._refused(error)
        except Exception as error:  # the SDK looks into an answer before it knows that it is one
            unreachable(self._channel, error)
        return response

    def _refused(self, error: SlackApiError) -> NoReturn:
        said = _said(error)
        response = error.response  # of Slack, or, where it is nothing Slack says, of aiohttp
        status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
        when = again(status, response.headers)
        if said in PASSING or (not said and status < HTTPStatus.BAD_REQUEST):
            when = when or 0.0
        words = f"{status} {said}" + (f": {CURES[said]}" if said in CURES else "")
        raise ChannelError(self._channel.inert(words), again=when) from None


def _said(error: SlackApiError) -> str:
    """Slack's word for what is wrong; empty where the answer is no word of Slack's."""
    data = getattr(error.response, "data", None)
    return str(data.get("error", "")) if isinstance(data, dict) else ""


def blocks(message: Message) -> list[dict[str, Any]]:
    """The message as a block of rich text."""
    sections = [_section(_bold(message.mark))] if message.mark else []
    sections.append(_section(_bold(message.title)))
    sections += [
        _section(_bold(fact.about), {"type": "text", "text": f"  {fact.text}"}) for fact in message.facts
    ]
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
