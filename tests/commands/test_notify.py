import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

from clickwarden.channels.routing import SILENCES, Silence
from tests.channels import NASTY, Reply, Slack, sink

TOKEN = "xoxb-1234-geheim"
HOOK = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def notify(
    *arguments: str, file: Path | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    given = {"CLICKWARDEN_BROKER": "kafka://127.0.0.1:9", "TOKEN": TOKEN, "HOOK": HOOK, "COLUMNS": "80"}
    if file is not None:
        given["CLICKWARDEN_CHANNELS"] = str(file)
    return subprocess.run(
        [sys.executable, "-m", "faust", "-A", "app", "--loglevel", "DEBUG", "notify", *arguments],
        env=os.environ | given | {"PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_each_channel_gets_a_message_that_says_it_is_a_test(tmp_path: Path) -> None:
    file = tmp_path / "channels.toml"
    slack = Slack(TOKEN)
    with sink(slack) as slacks, sink() as hooks, sink() as alerts:
        file.write_text(
            f"""page = "https://clickwarden.shop.example/"
            [[channel]]
            name = "slack"
            url = "slackbot://C0123ABCD?api=http://{slacks.host}/api/"
            secret = "${{TOKEN}}"
            [[channel]]
            name = "siem"
            url = "webhook+http://{hooks.host}/"
            secret = "${{HOOK}}"
            [[channel]]
            name = "json"
            url = "json://me:geheim123@{hooks.host}/json"
            [[channel]]
            name = "alertmanager"
            url = "alertmanager+http://{alerts.host}"
            """
        )
        done = notify("test", file=file)
        assert (done.returncode, done.stderr) == (0, "")
        told = {line.partition(" ")[0]: line.partition(" s: ")[2] for line in done.stdout.splitlines()}
        assert told.keys() == {"slack", "siem", "json", "alertmanager"}
        assert told["slack"] == "ok (C0123ABCD/1773152400.000000)"
        assert told["siem"].startswith("200 OK ok (")
        assert told["alertmanager"] == "200 OK ok"
        sent = [*slacks.received, *hooks.received, *alerts.received]
        assert len(sent) == 4
        assert all(b"This is a test" in request.body for request in sent)
        done = notify("test", "siem", file=file)
        assert done.returncode == 0
        assert len(done.stdout.splitlines()) == 1
        assert (len(slacks.received), len(hooks.received)) == (1, 3)


def test_what_fails_is_said_and_nothing_secret_is(tmp_path: Path) -> None:
    file = tmp_path / "channels.toml"
    with sink(lambda request: Reply(401, {}, f"{request.headers} {NASTY[0]} \x1b[2J".encode())) as server:
        file.write_text(
            f"""[[channel]]
            name = "slack"
            url = "slackbot://C0123ABCD?api=http://{server.host}/api/"
            secret = "${{TOKEN}}"
            [[channel]]
            name = "am"
            url = "alertmanager+http://{server.host}"
            secret = "${{TOKEN}}"
            [[channel]]
            name = "json"
            url = "json://me:geheim123@{server.host}/geheim456"
            """
        )
        done = notify("test", file=file)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "3 channels, 3 failed"
    assert done.stdout.count("NOT TAKEN after") == 3
    assert done.stdout.count("(to try again is of no use)") == 3
    assert "messages link nowhere" in done.stdout
    for secret in (TOKEN, "geheim", "\x1b"):
        assert secret not in done.stdout + done.stderr


def test_a_name_that_is_none_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = notify("test", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "clickwarden: CLICKWARDEN_CHANNELS=channels.toml: no such file; write one:\n\npage = "
    )
    (tmp_path / "channels.toml").write_text('[[channel]]\nname = "a"\nurl = "json://127.0.0.1:9"\n')
    done = notify("test", "b", folder=tmp_path)
    assert (done.returncode, done.stderr) == (
        1,
        "clickwarden: b: channels.toml has no such channel; there are a\n",
    )


def test_the_help_says_what_it_does() -> None:
    done = notify("--help")
    assert "one message that is marked as a test to each channel" in " ".join(done.stdout.split())


def test_it_has_words_for_each_reason_not_to_tell() -> None:
    assert SILENCES.keys() == {reason for some in get_args(Silence) for reason in get_args(some)}
