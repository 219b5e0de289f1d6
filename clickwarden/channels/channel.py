"""What a channel is: an address, what proves who we are there, and what sends to it."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol
from urllib.parse import SplitResult, parse_qsl, urlsplit

import msgspec

from clickwarden.alerts.sight import shortened
from clickwarden.alerts.words import visible
from clickwarden.channels.message import Message
from clickwarden.channels.secret import Secret, hide

#: Of what the other side says, for people.
SAID_MOST = 200
#: Nobody waits longer, whatever the other side asks for, seconds.
WAIT_MOST = 3600.0
#: Who does not answer for so long is taken for away, seconds.
PATIENCE = 15.0


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """A place where people are told.

    Attributes:
        name: ours, for people and for what is noted of the channel.
        url: where it is; as a whole a secret, since some have one in them.
        secret: what proves who we are there; may be empty.
        secrets: all that nobody may see: of the url and the secret.
    """

    name: str
    url: Secret
    secret: Secret = Secret("")
    secrets: tuple[Secret, ...] = ()

    @property
    def scheme(self) -> str:
        """What stands before ``://``, in small letters."""
        return self.url.reveal().partition("://")[0].lower()

    def inert(self, said: str) -> str:
        """What the other side said, without secrets, in one short line that no terminal obeys."""
        return shortened(visible(hide(said.strip(), self.secrets)), SAID_MOST)


class Answer(NamedTuple):
    """What the other side said of a message that it took.

    Attributes:
        reference: names the message there; handed back with the later ones of its thread.
        words: what was said, inert.
    """

    reference: str
    words: str


class Sender(Protocol):
    """Sends messages to one channel.

    Attributes:
        repeat: what goes on is to be sent again after so many seconds, or the other side takes it for over;
            None: once is enough.
    """

    repeat: float | None

    async def send(self, message: Message, earlier: str = "") -> Answer:
        """Have the channel show a message, within a minute.

        Args:
            message: to send again when that failed, with the same key.
            earlier: the reference of the first message of the thread; empty for that one itself.

        Raises:
            ChannelError: it was not taken, or nobody knows; with when to try again.
        """


def address(channel: Channel, known: Mapping[str, str] | None) -> tuple[SplitResult, dict[str, str]]:
    """The parts of the URL of a channel of ours, and its parameters.

    Args:
        channel: of which the url has no password in it.
        known: the parameters that there are, with what each is; None: they are the other side's affair.

    Raises:
        ValueError: it is no such URL; begins with the field, and holds nothing secret.
    """
    try:
        split = urlsplit(channel.url.reveal())
        _ = split.port
    except ValueError:
        raise ValueError(f"url: is no URL; write {channel.scheme}://host:port/…") from None
    if split.password is not None:
        raise ValueError('url: has a password in it; write that as secret = "${NAME}"')
    if not split.hostname:
        raise ValueError(f"url: names no host; write {channel.scheme}://host:port/…")
    parameters = dict(parse_qsl(split.query, keep_blank_values=True))
    for name in parameters:
        if known is not None and name not in known:
            there = ", ".join(f"{one} ({what})" for one, what in known.items()) or "none"
            raise ValueError(f"url: {visible(name)!s} is no parameter of it; there are: {there}")
    return split, parameters
