"""What people say of incidents, through a real worker: who is told no more, and what is known of it later."""

import json
import re
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from clickwarden.times import isotime
from tests.channels import Sink, sink
from tests.site import RULES as OF_A_MINUTE
from tests.site import Site, Worker, clicks

Sites = Callable[..., Site]

HOUR = 3600
#: Whatever the second, the attacks of a test are in one window.
RULES = OF_A_MINUTE.replace("window = 60", f"window = {HOUR}")
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "let me in"
EVE = "<b>eve</b>"


def channels(folder: Path, host: str) -> Path:
    file = folder / "channels.toml"
    file.write_text(
        f'page = "https://clickwarden.shop.example/"\nlink_secret = "{"s" * 32}"\n\n[[channel]]\nname = "c"\n'
        f'url = "webhook+http://{host}/"\nsecret = "{KEY}"\ngroup_wait = 0\ngroup_interval = 0\n'
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


def attack(here: Site, user: str, count: int = 60) -> None:
    now = time.time()
    here.send(*clicks(user, count, now - 8, now))


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
        attack(here, EVE, 100)
        here.until(lambda: "said to be human 1" in here.run("notify", "status").stdout, worker)

        # By the API a user is snoozed.
        attack(here, "joe")
        here.until(lambda: told(server)[1:] == [("incident.opening", "joe")], worker)
        joe = server.received[1].json["data"]["incidents"][0]["incident_id"]
        until = isotime(int(time.time()) + HOUR)
        answer = api(worker, "POST", f"feedback/{joe}", {"verdict": "snooze", "until": until})
        assert (answer["muted"], answer["until"], answer["meanwhile"]) == ("snoozed", until, 1)
        attack(here, "joe", 100)
        here.until(lambda: "snoozed 1" in here.run("notify", "status").stdout, worker)
        assert len(told(server)) == 2

        # It stands when the worker is another.
        worker.terminate()
        worker = here.start()
        here.until(lambda: api(worker, "GET", "feedback")["state"] == "live", worker)
        said = {each["user_id"]: each for each in api(worker, "GET", "feedback")["feedback"]}
        assert (said[EVE]["verdict"], said[EVE]["why"], said["joe"]["until"]) == ("human", "a fair", until)
        assert re.fullmatch(r"a link of a message, opened at one from 127\.0\.0\.1", said[EVE]["who"])
        for user in (EVE, "joe"):
            attack(here, user, 1000)
        attack(here, "ann")
        here.until(lambda: told(server)[2:] == [("incident.opening", "ann")], worker)
        (rule,) = api(worker, "GET", "rules")
        assert rule["precision"] == {"told": 3, "confirmed": 0, "refuted": 1, "unanswered": 2, "share": 0.0}
        assert "This stood already:" in press(worker, path, "human")

        # Nobody is allowed by that, but by who asks for it.
        listed = api(worker, "GET", f"users?{urlencode({'id': EVE})}")["said"]
        proposal = listed[incident_id]["proposal"]
        assert "nobody is on the allow-list" in here.run("allow", "list").stdout
        wanted = {"entry": {"user": EVE}, "reason": proposal["reason"], "until": proposal["until"]}
        assert api(worker, "POST", "allow", wanted)["what"].startswith(f"allow user {EVE} until ")
        assert "said to be human: a fair" in here.run("allow", "list").stdout
