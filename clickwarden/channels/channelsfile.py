"""Channels as people write them: ``channels.toml``."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from clickwarden.channels.channel import Channel, Sender
from clickwarden.channels.links import LEAST, Links
from clickwarden.channels.routing import Routing
from clickwarden.channels.secret import Secret, hide, parts, resolve
from clickwarden.channels.senders import OPEN, sender_of
from clickwarden.detection import tomlfile
from clickwarden.detection.tomllines import Path as Place
from clickwarden.errors import SettingsError

#: A file of channels is smaller.
MOST_BYTES = 256 * 1024

EXAMPLE = """\
page = "https://clickwarden.shop.example/"    # where people reach the page; links lead there
# link_secret = "${LINK_SECRET}"              # signs links by which people say what it was; without, none

[[channel]]
name = "mail"
url = "smtps://clickwarden@smtp.shop.example/?from=clickwarden@shop.example&to=ops@shop.example"
secret = "${MAIL_PASSWORD}"    # of the environment or .env; ${file:/run/secrets/mail} is what a file holds

[[channel]]
name = "slack"
url = "slackbot://C0123456789"
secret = "${SLACK_BOT_TOKEN}"

[[channel]]
name = "json"
url = "json://127.0.0.1:8080/alerts"          # or any other URL of Apprise's
severity = "high"                             # at least; docs/channels.md says what else can be chosen
quiet = "22:00-07:00"
zone = "Europe/Berlin"
"""


class Written(Routing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A channel as it stands in the file, with what it wants."""

    name: str
    url: str
    secret: str = ""

    def __post_init__(self) -> None:
        """Check what can be checked alone.

        Raises:
            ValueError: a field is wrong.
        """
        super().__post_init__()
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", self.name):
            raise ValueError("name: must be 1 to 64 letters, digits, - and _; choose another")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    channel: list[Written] = []
    page: str = ""
    link_secret: str = ""


class OpenChannel(NamedTuple):
    """A channel, what sends to it, and what it wants."""

    channel: Channel
    sender: Sender
    routing: Routing


class Channels(NamedTuple):
    """Where people are told.

    Attributes:
        page: where they reach the page, with a slash at its end; empty where the file does not say.
        by_name: in the order of the file.
        document: the file, of which no more is left than the channels' names.
        links: by which people say what an incident was; None where the file does not say page and
            link_secret.
    """

    page: str
    by_name: Mapping[str, OpenChannel]
    document: tomlfile.Document
    links: Links | None = None

    def check(self, rules: Collection[str]) -> None:
        """See that a channel which wants certain rules can be told of them.

        Args:
            rules: names of all that there are, and ever were.

        Raises:
            SettingsError: it wants one that never was: it would be told of nothing, and nobody would know.
        """
        for number, (_, _, routing) in enumerate(self.by_name.values()):
            for name in routing.rules:
                if name not in rules:
                    near = difflib.get_close_matches(name, rules, n=1)
                    cure = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(rules))}"
                    fault = f"rules: no rule is or was ever named {name!r}; {cure}"
                    raise self.document.fail(("channel", number, "rules"), fault)

    def warnings(self, rules: Collection[str]) -> list[str]:
        """Which channels want a rule that is not among those in force, in words."""
        return [
            f"Channel {channel} wants to be told of rule {name!r}, which is not in force"
            for channel, opened in self.by_name.items()
            for name in opened.routing.rules
            if name not in rules
        ]


def load(path: Path, environment: Mapping[str, str]) -> Channels:
    """The channels of a file, each of which can be sent to.

    Args:
        path: of the file.
        environment: what ``${NAME}`` stands for.

    Raises:
        SettingsError: it cannot be read, or a channel is wrong; with file, line, field and cure, and nothing
            that is secret.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise SettingsError(f"CLICKWARDEN_CHANNELS={path}: no such file; write one:\n\n{EXAMPLE}") from None
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; name a file that can be read") from None
    if len(content) > MOST_BYTES:
        raise SettingsError(
            f"{path}: is larger than {MOST_BYTES:,} bytes; is it another file? Name the right one"
        )
    return parse(content, str(path), environment)


def parse(content: bytes, name: str, environment: Mapping[str, str]) -> Channels:
    """The same, of a file's content.

    Raises:
        SettingsError: as :func:`load`.
    """
    document = tomlfile.document(content, name)
    opened: dict[str, OpenChannel] = {}
    try:
        file = msgspec.convert(document.content, _File)
    except msgspec.ValidationError as error:
        hint = "docs/channels.md says what it takes"
        place, fault = tomlfile.explained(str(error), {"channel": Written, "": _File}, hint)
        raise document.fail(place, fault) from None
    for place, fault in _faults(file):
        raise document.fail(place, fault)
    for number, written in enumerate(file.channel):
        try:
            channel = _channel(written, environment)
            if written.summary and channel.scheme.startswith("alertmanager+"):
                raise ValueError(
                    "summary: Alertmanager takes alerts alone; have another channel told of the day"
                )
            opened[written.name] = OpenChannel(channel, _sender(channel), _routing(written))
        except ValueError as error:
            field = str(error).partition(":")[0]
            raise document.fail(("channel", number, field), str(error)) from None
    bare = document._replace(content={"channel": [{"name": name} for name in opened]})  # without secrets
    try:
        secret = _link_secret(file.link_secret, environment)
    except ValueError as error:
        raise document.fail(("link_secret",), f"link_secret: {error}") from None
    page = file.page and file.page.rstrip("/") + "/"
    return Channels(page, opened, bare, Links(page, secret) if page and secret else None)


def _faults(file: _File) -> Iterator[tuple[Place, str]]:
    if file.page and not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s?#]*)?", file.page):
        yield ("page",), "page: is no address of a page; write it like https://clickwarden.shop.example/"
    if not file.channel:
        yield (), "holds no channel; add a [[channel]] with name and url"
    names: set[str] = set()
    for number, written in enumerate(file.channel):
        if written.name in names:
            fault = f"name: two channels are named {written.name!r}; call this one something else"
            yield ("channel", number, "name"), fault
        names.add(written.name)


def _link_secret(written: str, environment: Mapping[str, str]) -> Secret:
    """What signs links; empty where the file does not say.

    Raises:
        ValueError: it is missing, or can be guessed.
    """
    secret, _ = resolve(written, environment, quoted=False)
    if secret and len(secret) < LEAST:
        raise ValueError(
            f"has {len(secret)} characters, and who guesses it can answer for others; take {LEAST} or more, "
            "as 'openssl rand -base64 32' makes them"
        )
    return Secret(secret)


def _routing(written: Written) -> Routing:
    """What a channel wants, without its secrets."""
    return Routing(**{name: getattr(written, name) for name in Routing.__struct_fields__})


def _sender(channel: Channel) -> Sender:
    """What sends to it.

    Raises:
        ValueError: as :func:`sender_of`.
    """
    try:
        return sender_of(channel)
    except ValueError as error:
        raise ValueError(hide(str(error), channel.secrets)) from None


def _channel(written: Written, environment: Mapping[str, str]) -> Channel:
    """The channel with its secrets in it.

    Raises:
        ValueError: one is missing; begins with the field.
    """
    resolved: list[str] = []
    secrets: list[Secret] = []
    for field, text, quoted in (("url", written.url, True), ("secret", written.secret, False)):
        try:
            text, used = resolve(text, environment, quoted=quoted)
        except ValueError as error:
            raise ValueError(f"{field}: {error}") from None
        resolved.append(text)
        secrets += used
    url, secret = resolved
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url):
        raise ValueError("url: begins with no scheme; write it like json://127.0.0.1:8080/alerts")
    if not url.isprintable():
        raise ValueError("url: holds a sign that cannot be printed; take it out")
    if secret:
        secrets.append(Secret(secret))
    channel = Channel(name=written.name, url=Secret(url), secret=Secret(secret), secrets=tuple(secrets))
    if channel.scheme in OPEN:
        return channel
    return msgspec.structs.replace(channel, secrets=(*secrets, *parts(url)))
