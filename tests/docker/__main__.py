"""Run the compose demo in a Docker engine, as a stranger and as fate would treat it, and count what holds.

Exit code 1 when something does not, 75 when there is no engine and none can be made.
"""

import re
import sys
from collections.abc import Iterator
from subprocess import CompletedProcess
from time import monotonic

from tests.docker.demo import PROMETHEUS, SERVICES, Demo, demo, rules, within
from tests.docker.engine import CHECKOUT, NoEngine, engine

#: Of sysexits.h: try another time.
NOT_HERE = 75
#: From `up`, with the images there, to the first alert.
ALERT_SECONDS = 30.0
#: What no line of a first start may hold.
WRONG = re.compile(r"\b(WARN(ING)?|ERROR|CRITICAL|Traceback)\b")
CONFINED = """
import os
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
assert os.getuid() == 10001, os.getuid()
assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == 0, status
assert status["NoNewPrivs"] == "1\\n", status
try:
    open("/srv/clickwarden/written", "w")
except OSError as error:
    assert error.errno == 30, error
else:
    raise AssertionError("the root can be written to")
"""


class Broken(Exception):
    """Nothing more can be tried."""


Ran = CompletedProcess[str]
Held = Iterator[tuple[object, str]]


def started(demo: Demo) -> Held:
    """A stranger starts it, and looks."""
    refused = demo.compose("up", "--detach", token=None)
    yield refused.returncode and ".env" in refused.stdout, "without a token nothing starts, and it says so"
    built = demo.compose("build")
    yield _well(built), "the image builds"
    began = monotonic()
    up = demo.compose("up", "--detach")
    if up.returncode:
        raise Broken("\n".join([up.stdout, *demo.logs(*SERVICES)[-40:]]))
    yield True, "up: every service starts, in its order"
    yield (
        within(90, lambda: any("attacker" in line for line in demo.logs("alerts"))),
        "the attack is found, and told in the terminal",
    )
    seconds = monotonic() - began
    yield seconds <= ALERT_SECONDS, f"within {ALERT_SECONDS:.0f} s of up ({seconds:.1f} s)"
    yield within(30, demo.is_ready), "the worker is ready"
    wrong = [line for line in demo.logs("worker", "simulator", "alerts") if WRONG.search(line)]
    print(*wrong, sep="\n", end="\n" if wrong else "", flush=True)
    yield not wrong, "no line of a first start looks like an error"
    yield (
        demo.ask("/", token="")[0] == 401 and demo.ask("/api/v1/status")[0] == 200,
        "the page is at 127.0.0.1:6066, and wants the token",
    )
    for service in SERVICES[1:]:
        done = demo.compose("exec", "-T", service, "python", "-c", CONFINED)
        yield (
            _well(done),
            f"{service}: no root, no capability, no new privileges, nothing written but its data",
        )
    yield demo.is_right(), "every count is right (verify)"


def changed(demo: Demo) -> Held:
    """Rules are changed, and images stay."""
    put = demo.faust("rules", "put", "--why", "as the README has it", "/dev/stdin", stdin=rules(CHECKOUT))
    listed = demo.faust("rules", "history", "--json").stdout
    yield (
        _well(put)
        and "as the README has it" in listed
        and within(60, lambda: any("busy-shopper" in line for line in demo.logs("alerts"))),
        "a rule is added while it runs, without another image, and finds somebody",
    )


def watched(demo: Demo) -> Held:
    """The profile of Prometheus; Grafana's image is left out, for no engine that is made has it."""
    yield _well(demo.compose("up", "--detach", "prometheus")), "Prometheus starts beside it"
    up = "/api/v1/query?query=up%7Bjob%3D%22clickwarden%22%7D"
    yield (
        within(30, lambda: '"1"]' in demo.ask(up, port=PROMETHEUS, token="")[1]),
        "and asks the worker, with the token",
    )
    rules = demo.ask("/api/v1/rules", port=PROMETHEUS, token="")[1]
    yield "ClickwardenBlind" in rules and '"health":"err"' not in rules, "by the rules of deploy/"


def killed(demo: Demo) -> Held:
    """What dies comes back by itself, and goes on where it was."""
    demo.kill("worker")
    yield within(60, demo.is_ready), "killed, the worker comes back by itself"
    yield demo.is_right(), "and every count is right"
    before = len(demo.logs("simulator"))
    demo.kill("simulator")
    yield (
        within(30, lambda: len(demo.logs("simulator")) > before),
        "killed, the simulator comes back by itself",
    )
    demo.kill("kafka")
    yield within(30, lambda: demo.restarts("kafka") == 1), "killed, Kafka comes back by itself"
    yield within(120, demo.serves) and within(60, demo.is_ready), "it serves, and the worker counts on"
    yield demo.is_right(), "and every count is right"


def stopped(demo: Demo) -> Held:
    """It is recreated, stopped, removed but for its volumes, and started again."""
    demo.compose("up", "--detach", "--force-recreate", "--no-deps", "worker")
    yield within(60, demo.is_ready), "a new container of the worker is ready, as after up --build"
    demo.compose("stop")
    codes = {service: demo.state(service)["State"]["ExitCode"] for service in SERVICES}
    # 128 and the signal: Kafka says SIGTERM's, our commands that are interrupted Ctrl-C's.
    well = {"worker": 0, "simulator": 130, "alerts": 130, "kafka": 143}
    for service in SERVICES:
        if codes[service] != well[service]:
            print(f"{service}:", *demo.logs(service)[-40:], sep="\n  ", flush=True)
    yield codes == well, f"stop ends all in time, nobody killed ({codes})"
    demo.compose("down")
    yield _well(demo.compose("up", "--detach")), "up after down: every service starts"
    yield within(60, demo.is_ready), "the worker is ready"
    yield demo.is_right(), "what was counted is still there, and right"


def _well(done: Ran) -> bool:
    """Whether a command ended well; what it said is printed where it did not."""
    if done.returncode:
        print(done.stdout, flush=True)
    return not done.returncode


def main() -> None:
    """Run it; the exit code says what came of it."""
    began = monotonic()
    results = []
    try:
        with engine() as here, demo(here) as shown:
            print(f"{monotonic() - began:4.0f} s  the engine answers", flush=True)
            for part in (started, changed, watched, killed, stopped):
                for held, what in part(shown):
                    results.append(bool(held))
                    print(f"{monotonic() - began:4.0f} s  {'ok  ' if held else 'FAIL'}  {what}", flush=True)
    except NoEngine as error:
        print(
            f"\n*** SKIPPED, the compose demo was not run: no Docker engine answers, and {error}\n",
            flush=True,
        )
        sys.exit(NOT_HERE)
    except Broken as error:
        print(error, flush=True)
        results.append(False)
    failed = results.count(False)
    print(f"docker: {len(results) - failed} passed, {failed} failed, {monotonic() - began:.0f} s", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
