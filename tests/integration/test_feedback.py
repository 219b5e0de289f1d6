"""What people say of incidents, through a real worker: who is told no more, and what is known of it later."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from clickwarden.channels.ledgertopic import read
from clickwarden.times import isotime
from tests.channels import Sink, sink
from tests.site import RULES as OF_A_MINUTE
from tests.site import Site, Worker, clicks

Sites = Callable[..., Site]

HOUR = 3600
#: Whatever the second, the attacks of a test are in one window. Who breaks the second rule, of which nobody
#: is told, is worse by the first.
RULES = (OF_A_MINUTE + OF_A_MINUTE.replace("bot", "logins").replace("50", '5\nevents = ["login"]')).replace(
    "window = 60", f"window = {HOUR}"
)
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "let me in"
EVE = "<b>eve</b>"


def channels(folder: Path, host: str) -> Path:
    file = folder / "channels.toml"
    file.write_text(
        f'page = "https://clickwarden.shop.example/"\nlink_secret = "{"s" * 32}"\n\n[[channel]]\nname = "c"\n'
        f'url = "webhook+http://{host}/"\nsecret = "{KEY}"\nrules = ["bot"]\ngroup_wait = 0\n'
        "group_interval = 0\n"
    )
    return file


def ask(
    worker: Worker, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, HTTPMessage, str]:
    with closing(HTTPConnection("127.0.0.1", worker.settings.web_port, timeout=30)) as connection:
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


def api(worker: Worker, method: str, path: str, content: Any = None) -> Any:
    """An answer of the API to who knows the token."""
    body = "" if content is None else json.dumps(content)
    given = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    status, _, said = ask(worker, method, f"/api/v1/{path}", body, **given)
    assert status == 200, said
    return json.loads(said)


def press(worker: Worker, path: str, say: str) -> str:
    """What the link's page says when a button of it was pressed; the browser sends no Origin, but null."""
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "null"}
    status, _, said = ask(worker, "POST", path, urlencode({"say": say, "why": "a fair"}), **form)
    assert status == 200, said
    return said


def told(server: Sink) -> list[tuple[str, str]]:
    found = [request.json for request in server.received]
    return [(each["type"], each["data"]["incidents"][0]["user_id"]) for each in found]


def attack(here: Site, user: str, count: int = 60, event: str = "view") -> None:
    now = time.time()
    here.send(*clicks(user, count, now - 8, now, event))


def silenced(here: Site) -> dict[str, int]:
    """Of how many incidents the channel was not told, by reason."""
    return asyncio.run(read(here.settings)).channels["c"].silenced


def test_what_is_said_mutes_and_outlives_the_worker(site: Sites, tmp_path: Path) -> None:
    with sink() as server:
        here = site(rules=RULES, idle_timeout=3600, channels=channels(tmp_path, server.host), web_token=TOKEN)
        worker = here.start()
        attack(here, EVE)
        here.until(lambda: told(server) == [("incident.opening", EVE)], worker)
        link = server.received[0].json["data"]["feedback"]
        assert link.startswith("https://clickwarden.shop.example/feedback/")
        path = urlsplit(link).path

        # Who looks changes nothing, and needs no token; what is shown is this incident.
        for method in ("GET", "HEAD"):
            status, headers, shown = ask(worker, method, path)
            assert status == 200
            assert headers["Cache-Control"] == "no-store"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "script" not in shown
            assert "<b>" not in shown
        assert "eve" in ask(worker, "GET", path)[2]
        assert api(worker, "GET", "feedback")["total"] == 0
        incident_id, expires, signature = path.rpartition("/")[2].split(".")
        for forged in (f"{incident_id[::-1]}.{expires}.{signature}", f"{incident_id}.{expires}9.{signature}"):
            for method in ("GET", "POST"):
                status, _, shown = ask(worker, method, f"/feedback/{forged}", "say=human")
                assert (status, incident_id in shown) == (403, False)
        assert ask(worker, "GET", "/feedback/%2e%2e/api/v1/feedback")[0] == 403
        assert ask(worker, "POST", path, "say=nothing")[0] == 400

        # By the link it was a human: nothing more is told of it, and that is counted.
        assert "Noted. Thank you." in press(worker, path, "human")
        assert "This stood already:" in press(worker, path, "human")
        assert "It was a human" in ask(worker, "GET", path)[2]
        attack(here, EVE, 10, "login")
        here.until(lambda: silenced(here) == {"human": 1, "rule": 1}, worker)

        # By the API a user is snoozed.
        attack(here, "joe")
        here.until(lambda: told(server)[1:] == [("incident.opening", "joe")], worker)
        joe = server.received[1].json["data"]["incidents"][0]["incident_id"]
        until = isotime(int(time.time()) + HOUR)
        answer = api(worker, "POST", f"feedback/{joe}", {"verdict": "snooze", "until": until})
        assert (answer["muted"], answer["until"], answer["meanwhile"]) == ("snoozed", until, 1)
        attack(here, "joe", 10, "login")
        here.until(lambda: silenced(here) == {"human": 1, "rule": 2, "snoozed": 1}, worker)
        assert len(told(server)) == 2

        # It stands when the worker is another.
        worker.terminate()
        worker = here.start()
        here.until(lambda: api(worker, "GET", "feedback")["state"] == "live", worker)
        said = {each["user_id"]: each for each in api(worker, "GET", "feedback")["feedback"]}
        assert (said[EVE]["verdict"], said[EVE]["why"], said["joe"]["until"]) == ("human", "a fair", until)
        assert re.fullmatch(r"a link of a message, opened at one from 127\.0\.0\.1", said[EVE]["who"])
        attack(here, "ann")
        here.until(lambda: told(server)[2:] == [("incident.opening", "ann")], worker)
        right = {"told": 3, "confirmed": 0, "refuted": 1, "unanswered": 2, "share": 0.0}
        here.until(lambda: api(worker, "GET", "rules")[0]["precision"] == right, worker)
        assert "This stood already:" in press(worker, path, "human")

        # Nobody is allowed by that, but by who asks for it.
        listed = api(worker, "GET", f"users?{urlencode({'id': EVE})}")["said"]
        proposal = listed[incident_id]["proposal"]
        assert api(worker, "GET", "allow")["total"] == 0
        wanted = {"entry": {"user": EVE}, "reason": proposal["reason"], "until": proposal["until"]}
        assert api(worker, "POST", "allow", wanted)["what"].startswith(f"allow user {EVE} until ")
        assert api(worker, "GET", "allow")["groups"][0]["reason"] == "said to be human: a fair"
