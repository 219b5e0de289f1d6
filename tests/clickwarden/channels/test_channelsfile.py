import os
import sys
from pathlib import Path

import pytest

from clickwarden.channels import channelsfile
from clickwarden.channels.channelsfile import EXAMPLE, Channels, load
from clickwarden.channels.secret import Secret, hide
from clickwarden.errors import SettingsError

#: Some of Apprise's plugins import it.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")

ENVIRONMENT = {
    "MAIL_PASSWORD": "geheim&4%7",
    "SLACK_BOT_TOKEN": "xoxb-geheim",
    "HOOK": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "PART": "geheim/12@3",
    "WHOLE": "json://me:geheim99@127.0.0.1:8080/x",
    "LINES": "geheim\nx",
    "LINKS": "geheim" * 6,
}
GOOD = '[[channel]]\nname = "a"\nurl = "json://127.0.0.1:8080/x"\n'


def parse(text: str) -> Channels:
    return channelsfile.parse(text.encode(), "channels.toml", ENVIRONMENT)


def fault(text: str | bytes) -> str:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(SettingsError) as raised:
        channelsfile.parse(content, "channels.toml", ENVIRONMENT)
    said = str(raised.value)
    assert "geheim" not in said
    assert "\n" not in said
    return said


def one(url: str, secret: str = "") -> str:
    return f'[[channel]]\nname = "a"\nurl = "{url}"\n' + (f'secret = "{secret}"\n' if secret else "")


def test_the_example_is_right() -> None:
    channels = parse(EXAMPLE)
    assert channels.page == "https://clickwarden.shop.example/"
    assert [(name, opened.channel.scheme) for name, opened in channels.by_name.items()] == [
        ("mail", "smtps"),
        ("slack", "slackbot"),
        ("json", "json"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "channels.toml: holds no channel; add a [[channel]] with name and url"),
        ("[[channel]", "line 1: is not TOML: "),
        (b'\n[[channel]]\nname = "\xff"', "line 3: is not UTF-8; write it as that"),
        (
            GOOD + "ur = 1",
            "line 4: channel 'a': ur: there is no such field; did you mean url?",
        ),
        (
            GOOD + "zz = 1",
            "line 4: channel 'a': zz: there is no such field; there are rules",
        ),
        ("pages = 1\n" + GOOD, "line 1: pages: there is no such field; did you mean page?"),
        ('[[channel]]\nname = "a"', "line 1: channel 'a': url: is missing; add it"),
        ('[[channel]]\nurl = "a"', "line 1: channel 1: name: is missing; add it"),
        ('[[channel]]\nname = 7\nurl = "json://x"', "line 2: channel 1: name: must be text in quotes"),
        (GOOD.replace('"a"', '"a b"'), "line 2: channel 'a b': name: must be 1 to 64 letters"),
        (GOOD + GOOD, "line 5: channel 'a': name: two channels are named 'a'; call this one"),
        (
            'page = "x"\n' + GOOD,
            "line 1: page: is no address of a page; write it like https://",
        ),
        ('page = "https://a:geheim@b/"\n' + GOOD, "line 1: page: is no address of a page"),
        (
            'link_secret = "geheim"\n' + GOOD,
            "line 1: link_secret: has 6 characters, and who guesses it can answer for others; take 32 or",
        ),
        ('link_secret = "${NOT}"\n' + GOOD, "line 1: link_secret: ${NOT} is not set; set NOT in the"),
        (one("/x"), "line 3: channel 'a': url: begins with no scheme; write it like json://"),
        (one("nope://geheim123"), "line 3: channel 'a': url: Apprise does not take it; "),
        (one("json://x", "geheim12"), "line 4: channel 'a': secret: json:// is Apprise's"),
        (
            one("slackbot://C1"),
            "line 1: channel 'a': secret: is no bot token, which",
        ),
        (one("slackbot://C1", "geheim12"), "line 4: channel 'a': secret: is no bot token"),
        (
            one("slackbot://C1?ap=x", "xoxb-geheim"),
            "line 3: channel 'a': url: ap is no parameter",
        ),
        (
            one("slackbot://C1", "${NO}"),
            "line 4: channel 'a': secret: ${NO} is not set; set NO in",
        ),
        (
            one("json://${NO}@x"),
            "line 3: channel 'a': url: ${NO} is not set; set NO in the env",
        ),
        (
            one("json://${a b}@x"),
            "line 3: channel 'a': url: ${a b} names nothing; write ${NAME}",
        ),
        (
            one("json://x", "${file:/no}"),
            "line 4: channel 'a': secret: /no cannot be read",
        ),
        (
            one("json://${LINES}@x"),
            "line 3: channel 'a': url: what ${LINES} stands for is",
        ),
        (
            one("smtps://me:geheim12@x"),
            "line 3: channel 'a': url: has a password in it; write",
        ),
        (
            one("webhook+https://x", "${PART}"),
            "line 4: channel 'a': secret: is not whsec_ and",
        ),
    ],
)
def test_what_is_wrong_is_said_with_line_field_and_cure(text: str | bytes, said: str) -> None:
    assert fault(text).removeprefix("channels.toml, ").startswith(said)


def test_a_secret_of_the_environment_is_put_in_as_a_part_of_a_url_has_it() -> None:
    channels = parse(one("json://me:${PART}@127.0.0.1:8080/x"))
    assert channels.by_name["a"].channel.url.reveal() == "json://me:geheim%2F12%403@127.0.0.1:8080/x"


def test_a_url_that_is_a_secret_as_a_whole_is_taken_as_it_stands() -> None:
    channel = parse(one("${WHOLE}")).by_name["a"].channel
    assert channel.url.reveal() == ENVIRONMENT["WHOLE"]
    assert channel.scheme == "json"


def test_a_secret_of_a_file_has_no_line_break_at_its_end(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("xoxb-geheim\n")
    channel = parse(one("slackbot://C1", f"${{file:{file}}}")).by_name["a"].channel
    assert channel.secret.reveal() == "xoxb-geheim"
    for content, said in ((b"", "is empty"), (b"x" * 70_000, "is too large"), (b"\xff", "is not UTF-8")):
        file.write_bytes(content)
        assert said in fault(one("slackbot://C1", f"${{file:{file}}}"))


def test_a_page_has_a_slash_at_its_end_and_need_not_be_said() -> None:
    assert parse('page = "https://shop.example/bots"\n' + GOOD).page == "https://shop.example/bots/"
    assert parse(GOOD).page == ""


@pytest.mark.parametrize(
    ("head", "links"),
    [
        ("", False),
        ('page = "https://c.example"\n', False),
        ('link_secret = "${LINKS}"\n', False),
        ('link_secret = "${LINKS}"\npage = "https://c.example"\n', True),
    ],
)
def test_there_are_links_where_the_file_says_to_where_and_signs_them(head: str, links: bool) -> None:
    channels = parse(head + GOOD)
    assert (channels.links is not None) == links
    if channels.links:
        assert channels.links.link("a", 0).startswith("https://c.example/feedback/a.604800.")
        assert "geheim" not in f"{channels!r} {vars(channels.links)}"


def test_nothing_that_is_printed_of_a_channel_holds_a_secret() -> None:
    channels = parse(EXAMPLE + one("json://me:${PART}@127.0.0.1:8080/geheim123", ""))
    for opened in channels.by_name.values():
        for shown in (repr(opened), str(opened), f"{opened}", repr(opened.channel), f"{opened.channel.url}"):
            assert "geheim" not in shown
    said = "no such token: geheim/12@3 geheim%2F12%403 geheim123"
    assert channels.by_name["a"].channel.inert(said) == "no such token: … … …"


def test_of_two_secrets_the_longer_is_hidden_first() -> None:
    assert hide("abcdef", [Secret("abc"), Secret("abcdef")]) == "…"


def test_a_file_that_is_not_there_says_how_one_is_written(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path / "channels.toml", os.environ)
    assert str(raised.value).endswith(f"no such file; write one:\n\n{EXAMPLE}")
    with pytest.raises(SettingsError, match="Is a directory; name a file that can be read"):
        load(tmp_path, os.environ)
    (tmp_path / "large").write_bytes(b"#" * 300_000)
    with pytest.raises(SettingsError, match="is larger than 262,144 bytes"):
        load(tmp_path / "large", os.environ)


@pytest.mark.parametrize(
    "url", ["slackbot://C1", "smtps://x", "webhook+https://x", "json://x", "SMTP://x", "telegram-like://x"]
)
def test_without_what_is_needed_the_line_says_what_to_install(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("apprise", "mail", "slack", "webhook"):
        monkeypatch.delitem(sys.modules, f"clickwarden.channels.{name}", raising=False)
    for name in ("apprise", "aiosmtplib", "slack_sdk.errors", "standardwebhooks.webhooks"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "which is not installed: pip install aiosmtplib apprise slack-sdk standardwebhooks" in fault(
        one(url)
    )


def test_what_is_no_time_of_the_day_is_said() -> None:
    assert "line 4: channel 'a': summary: '25:00' must be a time of the day" in fault(
        GOOD + 'summary = "25:00"'
    )


def test_alertmanager_takes_no_summary() -> None:
    content = one("alertmanager+http://127.0.0.1:9093") + 'summary = "08:00"\n'
    assert "line 4: channel 'a': summary: Alertmanager takes alerts alone" in fault(content)


def test_who_waits_for_a_rule_that_never_was_is_told_so_and_what_was_meant() -> None:
    channels = parse(GOOD + one("json://127.0.0.1:8080/y").replace('"a"', '"b"') + 'rules = ["bot", "bto"]\n')
    channels.check({"bot", "bto", "slow"})
    with pytest.raises(SettingsError) as raised:
        channels.check({"slow", "bot"})
    assert str(raised.value) == (
        "channels.toml, line 7: channel 'b': rules: no rule is or was ever named 'bto'; did you mean 'bot'?"
    )
    with pytest.raises(SettingsError, match="there are slow, x"):
        parse(GOOD + 'rules = ["bot"]\n').check({"x", "slow"})
    assert channels.warnings({"bto"}) == ["Channel b wants to be told of rule 'bot', which is not in force"]
    assert channels.warnings({"bot", "bto"}) == []
