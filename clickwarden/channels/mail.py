"""Mail, as text and as HTML, in one thread an incident."""

import asyncio
import re
import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import blake2b
from urllib.parse import unquote

import aiosmtplib

from clickwarden.channels.channel import PATIENCE, Answer, Channel, address
from clickwarden.channels.message import Message
from clickwarden.channels.posting import unreachable
from clickwarden.channels.rendering import html, text
from clickwarden.errors import ChannelError

#: A server that answers each command just in time is given up after so long, seconds.
IN_ALL = 45.0
#: By scheme: the port, and whether TLS begins with the connection, or with STARTTLS.
PORTS = {"smtps": (465, True, False), "smtp": (587, False, True), "smtp+plain": (25, False, False)}
PARAMETERS = {"from": "an address", "to": "addresses with commas between them"}
_ADDRESS = re.compile(r"[^@\s<>,;:\"()\[\]\\]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


class MailSender:
    """Mails each message; the secret is the password of the user in the url.

    Raises:
        ValueError: url or secret cannot be one's.
    """

    repeat: float | None = None

    def __init__(self, channel: Channel) -> None:
        split, parameters = address(channel, PARAMETERS)
        self._channel = channel
        self._from = _addresses(parameters.get("from", ""), "from")[0]
        self._to = _addresses(parameters.get("to", ""), "to")
        self._host = split.hostname or ""
        usual, self._tls, self._starttls = PORTS[channel.scheme]
        self._port = split.port or usual
        self._user = unquote(split.username) if split.username else None
        if bool(self._user) != bool(channel.secret):
            raise ValueError(
                "secret: user and password go together; write smtps://user@host/…, with %40 for an @, and "
                'secret = "${NAME}"'
            )
        self._trust = ssl.create_default_context() if self._tls or self._starttls else None
        if self._user and not (self._tls or self._starttls):
            raise ValueError(
                "url: smtp+plain:// would show the password to everybody; write smtps:// or smtp://"
            )

    async def send(self, message: Message, earlier: str = "") -> Answer:
        """Mail it; the reference is its Message-ID.

        Raises:
            ChannelError: no recipient was taken.
        """
        mail = mail_of(message, self._from, self._to, earlier)
        try:
            async with asyncio.timeout(IN_ALL):
                refused, said = await aiosmtplib.send(
                    mail,
                    sender=self._from,
                    recipients=self._to,
                    hostname=self._host,
                    port=self._port,
                    username=self._user,
                    password=self._channel.secret.reveal() or None,
                    use_tls=self._tls,
                    start_tls=self._starttls,
                    tls_context=self._trust,
                    local_hostname=self._from.rpartition("@")[2],  # else it asks the DNS, and all wait
                    timeout=PATIENCE,
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [one.code for one in error.recipients]
            words = "; ".join(f"{one.recipient}: {one.code} {one.message}" for one in error.recipients)
            raise ChannelError(self._channel.inert(words), again=_again(min(codes, default=0))) from None
        except aiosmtplib.SMTPResponseException as error:
            said = self._channel.inert(f"{error.code} {error.message}")
            perhaps = error.code == aiosmtplib.SMTPStatus.invalid_response
            raise ChannelError(said, again=_again(error.code), perhaps=perhaps) from None
        except aiosmtplib.SMTPNotSupported as error:
            raise ChannelError(self._channel.inert(str(error)), again=None) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            unreachable(self._channel, error, perhaps=not isinstance(error, aiosmtplib.SMTPConnectError))
        words = "; ".join([said, *(f"{to}: {why.code} {why.message}" for to, why in refused.items())])
        return Answer(earlier or str(mail["Message-ID"]), self._channel.inert(words))


def mail_of(message: Message, sender: str, recipients: list[str], earlier: str = "") -> EmailMessage:
    """The message as a mail; ``earlier`` is the Message-ID of the first one of its thread."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address("Clickwarden", addr_spec=sender)
    mail["To"] = ", ".join(recipients)
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Subject"] = f"Re: {message.subject}" if earlier else message.subject
    mail["Message-ID"] = message_id(message.key, sender)
    if earlier:
        mail["In-Reply-To"] = earlier
        mail["References"] = earlier
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notice answers it
    mail.set_content(f"{message.title}\n\n{text(message)}\n")
    mail.add_alternative(html(message), subtype="html")
    return mail


def message_id(key: str, sender: str) -> str:
    """The same for the same message, however often it is sent.

    >>> message_id("e1fed9de55ec.opening", "clickwarden@shop.example")
    '<e1fed9de55ec.opening@shop.example>'
    """
    safe = (
        key
        if re.fullmatch(r"[A-Za-z0-9._-]{1,100}", key)
        else blake2b(key.encode(), digest_size=16).hexdigest()
    )
    return f"<{safe}@{sender.rpartition('@')[2]}>"


def _addresses(written: str, parameter: str) -> list[str]:
    """Mail addresses.

    Raises:
        ValueError: one of them is none, or there is none.
    """
    found = [one.strip() for one in written.split(",") if one.strip()]
    if not found:
        raise ValueError(f"url: has no {parameter}; write ?from=clickwarden@shop.example&to=ops@shop.example")
    for one in found:
        if not _ADDRESS.fullmatch(one) or not one.isascii():
            raise ValueError(
                f"url: {one!r} in {parameter} is no mail address; write it like ops@shop.example"
            )
    return found


def _again(code: int) -> float | None:
    """RFC 5321, 4.2.1: what begins with 5 is final."""
    return None if code >= 500 else 0.0
