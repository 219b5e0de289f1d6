import asyncio
import email.policy
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP as Server
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from clickwarden.channels.mail import MailSender
from clickwarden.channels.message import Message, message_of, message_of_many, probe
from clickwarden.errors import ChannelError
from tests.channels import NASTY, case, channel, raw
from tests.secured import Certificates

PASSWORD = "geheim&4%7"
PAGE = "https://clickwarden.shop.example/"
MESSAGE = probe("k", "2026-03-10T14:20:00Z", PAGE)
BETWEEN = "from=clickwarden@shop.example&to=ops@shop.example,night@shop.example"
TAKEN = "250 Message accepted"


class Post:
    """Keeps what it takes.

    Attributes:
        mails: with whom each was for, as the envelope says.
        answers: to a recipient, and to data; else they are taken.
    """

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []
        self.recipients: dict[str, str] = {}
        self.data = TAKEN

    async def handle_RCPT(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.recipients.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:
        if self.data == TAKEN:
            parser = BytesParser(policy=email.policy.default)
            assert isinstance(envelope.content, bytes)
            self.mails.append((envelope.rcpt_tos, parser.parsebytes(envelope.content)))
        return self.data


@asynccontextmanager
async def server(post: Post, context: ssl.SSLContext | None = None, **more: Any) -> AsyncIterator[int]:
    """The port of an SMTP server."""
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: Server(post, hostname="mail.shop.example", loop=loop, **more), "127.0.0.1", 0, ssl=context
    )
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def authenticate(
    server: Server, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
) -> AuthResult:
    return AuthResult(success=data == LoginPassword(b"ops@shop.example", PASSWORD.encode()), handled=False)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates["broker.pem"], certificates["broker.key"])
    return context


@pytest.fixture
def trust(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates["ca.pem"]))


async def mailed(message: Message, earlier: str = "") -> EmailMessage:
    post = Post()
    async with server(post) as port:
        await MailSender(channel(f"smtp+plain://127.0.0.1:{port}/?{BETWEEN}")).send(message, earlier)
    ((_, mail),) = post.mails
    return mail


async def refused(url: str, password: str = "") -> ChannelError:
    with pytest.raises(ChannelError) as raised:
        await MailSender(channel(url, password)).send(MESSAGE)
    assert not password or password not in str(raised.value)
    return raised.value


async def test_it_is_text_and_html_to_all() -> None:
    post = Post()
    async with server(post) as port:
        answer = await MailSender(channel(f"smtp+plain://127.0.0.1:{port}/?{BETWEEN}")).send(MESSAGE)
    ((recipients, mail),) = post.mails
    assert recipients == ["ops@shop.example", "night@shop.example"]
    assert answer.words == TAKEN.removeprefix("250 ") or answer.words == TAKEN
    assert mail["From"] == "Clickwarden <clickwarden@shop.example>"
    assert mail["To"] == "ops@shop.example, night@shop.example"
    assert mail["Subject"] == "Clickwarden: a test message"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert answer.reference == mail["Message-ID"] == "<k.test@shop.example>"
    assert mail.get_content_type() == "multipart/alternative"
    plain, html = (part.get_content() for part in mail.iter_parts())
    for told in (plain, html):
        assert MESSAGE.mark in told
        assert "84 to 108 clicks" in told
        assert PAGE in told
    assert f'<a href="{PAGE}">' in html
    assert mail.defects == []


async def test_the_stages_of_an_incident_are_one_thread() -> None:
    opening = await mailed(message_of(case(), "opening", PAGE))
    end = await mailed(message_of(case(ongoing=False), "end", PAGE), str(opening["Message-ID"]))
    assert opening["Message-ID"] == "<e1fed9de55ec615495aece53a70f57fc.opening@shop.example>"
    assert opening["In-Reply-To"] is opening["References"] is None
    assert end["In-Reply-To"] == end["References"] == opening["Message-ID"]
    assert end["Subject"] == f"Re: {opening['Subject']}"
    again = await mailed(message_of(case(ongoing=False), "end", PAGE), str(opening["Message-ID"]))
    assert again["Message-ID"] == end["Message-ID"], "which is how clients drop what comes twice"


@pytest.mark.parametrize("user_id", NASTY)
async def test_no_id_adds_a_header_a_recipient_or_a_part(user_id: str) -> None:
    plain = await mailed(message_of(case("eve"), "opening", PAGE))
    for message in (
        message_of(case(user_id), "opening", PAGE),
        message_of_many([case(user_id), case()], "<\r\nBcc: all@victim.example>", "2026-03-10T14:20:00Z", ""),
    ):
        nasty = await mailed(message)
        assert nasty.keys() == plain.keys()
        assert [part.get_content_type() for part in nasty.walk()] == [
            part.get_content_type() for part in plain.walk()
        ]
        assert nasty["Subject"].strip() == message.subject  # a long word is folded onto a line of its own
        assert nasty["To"] == plain["To"]
        assert nasty.defects == []


@pytest.mark.usefixtures("trust")
@pytest.mark.filterwarnings("ignore:Requiring AUTH", "ignore:Session.login_data")
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_password_goes_through_tls(scheme: str, context: ssl.SSLContext) -> None:
    post = Post()
    more: dict[str, Any] = {"authenticator": authenticate, "auth_required": True}
    if scheme == "smtp":
        more |= {"tls_context": context, "require_starttls": True}
    else:
        more |= {"auth_require_tls": False}  # it cannot see that TLS is there from the beginning
    async with server(post, context if scheme == "smtps" else None, **more) as port:
        url = f"{scheme}://ops%40shop.example@127.0.0.1:{port}/?{BETWEEN}"
        await MailSender(channel(url, PASSWORD)).send(MESSAGE)
        raised = await refused(url, "a-wrong-one")
    assert len(post.mails) == 1
    assert str(raised).startswith("535 ")
    assert raised.again is None


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_who_is_not_known_gets_nothing(scheme: str, context: ssl.SSLContext) -> None:
    post = Post()
    more = {"tls_context": context} if scheme == "smtp" else {}
    async with server(post, context if scheme == "smtps" else None, **more) as port:
        raised = await refused(f"{scheme}://127.0.0.1:{port}/?{BETWEEN}")
    assert post.mails == []
    assert "certificate verify failed" in str(raised)


async def test_without_starttls_nothing_is_sent() -> None:
    post = Post()
    async with server(post) as port:
        raised = await refused(f"smtp://127.0.0.1:{port}/?{BETWEEN}")
    assert post.mails == []
    assert "STARTTLS" in str(raised)


def recipient(answer: str) -> Callable[[Post], None]:
    return lambda post: post.recipients.update({"ops@shop.example": answer, "night@shop.example": answer})


def data(answer: str) -> Callable[[Post], None]:
    return lambda post: setattr(post, "data", answer)


@pytest.mark.parametrize(
    ("answer", "again", "said"),
    [
        (recipient("550 No such user"), None, "ops@shop.example: 550 No such user; night@shop.example: 550"),
        (recipient("450 Greylisted"), 0.0, "ops@shop.example: 450 Greylisted"),
        (data("554 Spam"), None, "554 Spam"),
        (data("451 Later"), 0.0, "451 Later"),
    ],
)
async def test_what_a_server_refuses(answer: Callable[[Post], None], again: float | None, said: str) -> None:
    post = Post()
    answer(post)
    async with server(post) as port:
        raised = await refused(f"smtp+plain://127.0.0.1:{port}/?{BETWEEN}")
    assert raised.again == again
    assert str(raised).startswith(said)


async def test_who_of_several_is_refused_is_said_and_the_others_have_it() -> None:
    post = Post()
    post.recipients["night@shop.example"] = "550 No such user"
    async with server(post) as port:
        answer = await MailSender(channel(f"smtp+plain://127.0.0.1:{port}/?{BETWEEN}")).send(MESSAGE)
    assert [recipients for recipients, _ in post.mails] == [["ops@shop.example"]]
    assert answer.words.endswith("night@shop.example: 550 No such user")


@pytest.mark.parametrize(("answer", "perhaps"), [("this is no SMTP", True), ("451 Later", False)])
async def test_who_answers_a_mail_with_garbage_has_it_perhaps(answer: str, perhaps: bool) -> None:
    post = Post()
    post.data = answer
    async with server(post) as port:
        raised = await refused(f"smtp+plain://127.0.0.1:{port}/?{BETWEEN}")
    assert (raised.again, raised.perhaps) == (0, perhaps)


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clickwarden.channels.mail.PATIENCE", 0.2)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw(say_nothing) as (host, _):
        raised = await refused(f"smtp+plain://{host}/?{BETWEEN}")
    assert (str(raised), raised.again, raised.perhaps) == ("no answer in time", 0, False)


async def test_a_server_that_only_ever_says_that_it_is_busy_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("clickwarden.channels.mail.IN_ALL", 0.3)

    async def go_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"220-One moment, please\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)  # or it would be too much to be an answer

    async with raw(go_on) as (host, _):
        raised = await refused(f"smtp+plain://{host}/?{BETWEEN}")
    assert (str(raised), raised.again) == ("no answer in time", 0)


@pytest.mark.parametrize(
    ("url", "secret", "fault"),
    [
        ("smtps://a.example/?to=a@b.example", "", "url: has no from"),
        ("smtps://a.example/?from=a@b.example", "", "url: has no to"),
        ("smtps://a.example/?from=a@b.example&to=%0d%0aBcc:x@y.example", "", "url: .* is no mail address"),
        (f"smtps://a.example/?{BETWEEN}&cc=z@y.example", "", "url: cc is no parameter"),
        (f"smtps://a.example/?{BETWEEN}", "geheim", "secret: user and password go together"),
        (f"smtps://me@a.example/?{BETWEEN}", "", "secret: user and password go together"),
        (f"smtps://me:geheim@a.example/?{BETWEEN}", "", "url: has a password in it"),
        (f"smtp+plain://me@a.example/?{BETWEEN}", "geheim", "url: smtp.plain:// would show the password"),
    ],
)
def test_what_cannot_be_one(url: str, secret: str, fault: str) -> None:
    with pytest.raises(ValueError, match=f"^{fault}") as raised:
        MailSender(channel(url, secret))
    assert "geheim" not in str(raised.value)
