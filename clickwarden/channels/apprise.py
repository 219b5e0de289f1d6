"""A hundred kinds of channel by Apprise's URLs (https://github.com/caronc/apprise/wiki)."""

import asyncio
import logging
import re
from contextlib import suppress
from threading import Thread

from apprise import Apprise, AppriseAsset, AppriseResult, NotifyFormat, NotifyType

from clickwarden.channels.channel import Answer, Channel
from clickwarden.channels.message import Message
from clickwarden.channels.posting import UNKNOWN, again, cure
from clickwarden.channels.rendering import text
from clickwarden.errors import ChannelError

#: Apprise waits 4 s to connect and 4 s for each answer, and between two requests of one channel 5.5 s.
PATIENCE = 50.0
KINDS = {"end": NotifyType.SUCCESS, "test": NotifyType.INFO}
_STATUS = re.compile(r"\berror=(\d{3})\b")


class AppriseSender:
    """Sends a text; Apprise escapes it as each kind of channel needs it.

    Apprise waits for answers. It does so in a thread of its own, of which a
    channel has one: what hangs there holds up nobody else.

    Raises:
        ValueError: Apprise does not take the url.
    """

    repeat: float | None = None

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        _keep_secrets()
        asset = AppriseAsset(app_id="Clickwarden", async_mode=False, http_redirects=False)
        self._apprise = Apprise(asset=asset)
        if not self._apprise.add(channel.url.reveal()):
            raise ValueError(
                f"url: Apprise does not take it; https://github.com/caronc/apprise/wiki says how it writes "
                f"{channel.scheme}://, and signs that URLs have a use for are percent-encoded"
            )
        self._busy = False

    async def send(self, message: Message, earlier: str = "") -> Answer:
        """Send it as one of its own; there is no reference.

        Raises:
            ChannelError: it was not taken.
        """
        if self._busy:
            raise ChannelError("the message before has not been answered yet", again=PATIENCE)
        self._busy = True
        loop = asyncio.get_running_loop()
        done: asyncio.Future[AppriseResult] = loop.create_future()
        Thread(target=self._notify, args=(message, loop, done), daemon=True, name=self._channel.name).start()
        try:
            result = await asyncio.wait_for(done, PATIENCE)
        except TimeoutError:
            raise ChannelError("no answer in time", again=0, perhaps=True) from None
        said = self._channel.inert(" ".join(entry.message for entry in result.logs()))
        if result:
            return Answer("", said or "taken")
        status = _STATUS.search(said)
        code = int(status[1]) if status else 0
        raise ChannelError(
            (said or "not taken, and Apprise does not say why") + cure(code),
            again=again(code, {}) if status else 0.0,
            perhaps=not status or code in UNKNOWN,
        )

    def _notify(
        self, message: Message, loop: asyncio.AbstractEventLoop, done: asyncio.Future[AppriseResult]
    ) -> None:
        """Send it and wait, in a thread."""
        result = self._apprise.notify(
            body=text(message),
            title=message.title,
            # Where a channel has colours, what is over is green.
            notify_type=KINDS.get(message.stage, NotifyType.WARNING),
            body_format=NotifyFormat.TEXT,
            log_level=logging.WARNING,
        )

        def answered() -> None:
            self._busy = False
            if not done.done():
                done.set_result(result)

        with suppress(RuntimeError):  # nobody is there any more to be told
            loop.call_soon_threadsafe(answered)


def _keep_secrets() -> None:
    """Keep out of the log what Apprise and what it sends with say, in which URLs stand."""
    apprise = logging.getLogger("apprise")
    apprise.setLevel(logging.WARNING)
    apprise.propagate = False
    if not apprise.handlers:  # or the last resort of logging is to print it
        apprise.addHandler(logging.NullHandler())
    for name in ("urllib3", "requests_oauthlib"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
