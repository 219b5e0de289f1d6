"""A webhook as the Standard Webhooks specification has it (standardwebhooks.com), signed with HMAC-SHA256."""

import base64
import binascii
from datetime import UTC, datetime

import msgspec
from standardwebhooks.webhooks import Webhook

from clickwarden.channels.channel import Answer, Channel, address
from clickwarden.channels.message import Message
from clickwarden.channels.posting import post

PREFIX = "whsec_"
#: Bytes of a secret, as the specification bounds them.
LEAST_BYTES, MOST_BYTES = 24, 64


class WebhookSender:
    """Posts each message as JSON, with its key as ``webhook-id``, so that one sent twice can be told.

    Raises:
        ValueError: url or secret cannot be one's.
    """

    repeat: float | None = None

    def __init__(self, channel: Channel) -> None:
        address(channel, None)
        self._channel = channel
        self._url = channel.url.reveal().partition("+")[2]
        self._webhook = Webhook(_key(channel.secret.reveal()))

    async def send(self, message: Message, earlier: str = "") -> Answer:
        """Post it; the reference is its key.

        Raises:
            ChannelError: it was not taken.
        """
        body = body_of(message)
        now = datetime.now(UTC)
        headers = {
            "webhook-id": message.key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(message.key, now, body),
        }
        return Answer(message.key, await post(self._channel, self._url, body.encode(), headers))


def body_of(message: Message) -> str:
    """The message as JSON, the same however often it is sent; docs/channels.md has its fields."""
    link = {"link": message.link} if message.link else {}
    feedback = {"feedback": message.feedback} if message.feedback else {}
    mark = {"mark": message.mark} if message.mark else {}
    content = {
        "type": f"incident.{message.stage}",
        "timestamp": message.at,
        "data": {
            "thread": message.thread,
            "title": message.title,
            "facts": message.facts,
            **link,
            **feedback,
            **mark,
            "incidents": message.cases,
        },
    }
    return msgspec.json.encode(content).decode()


def _key(secret: str) -> bytes:
    """The bytes of a secret.

    Raises:
        ValueError: it is none.
    """
    cure = "the receiver's settings show one, or make one: echo whsec_$(openssl rand -base64 32)"
    if not secret:
        raise ValueError(f'secret: is missing; write secret = "${{NAME}}"; {cure}')
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise ValueError(f"secret: is not {PREFIX} and {LEAST_BYTES} to {MOST_BYTES} bytes in Base64; {cure}")
    return key
