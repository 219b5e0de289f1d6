"""The rules and the dashboard in deploy/, in promtool, and in a Prometheus that watches a worker."""

import json
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from grafana_foundation_sdk.models.dashboard import Dashboard
from ruamel.yaml import YAML

from experiments.programs import find
from tests.site import Site, Worker, click, clicks

Sites = Callable[..., Site]
ROOT = Path(__file__).parent.parent.parent
PROMETHEUS, GRAFANA = ROOT / "deploy" / "prometheus", ROOT / "deploy" / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "clickwarden.json").read_text())
RULES = [
    rule for group in YAML(typ="safe").load(PROMETHEUS / "rules.yml")["groups"] for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"].replace("$__range", "5m") for panel in PANELS for target in panel["targets"]]
TOKEN = "0123456789abcdef"
METRIC = re.compile(r"\bclickwarden_\w+")


def program(name: str) -> str:
    try:
        return find(name)
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("command", [("check", "rules", "rules.yml"), ("test", "rules", "tests.yml"),
                                     ("check", "config", "--syntax-only", "prometheus.yml")])  # fmt: skip
def test_the_rules_say_what_their_tests_do(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [program("promtool"), *command], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_says_what_to_do() -> None:
    runbook = (ROOT / "docs" / "operations.md").read_text()
    known = {title.lower().replace(" ", "-") for title in re.findall(r"^### (.+)$", runbook, re.MULTILINE)}
    named = {rule["annotations"]["runbook_url"].removeprefix("docs/operations.md#") for rule in ALERTS}
    assert named == known
    for rule in ALERTS:
        assert {"summary", "description"} <= rule["annotations"].keys()
        assert rule["labels"]["severity"] in ("info", "warning", "critical")


def test_each_alert_has_a_test() -> None:
    tests = (PROMETHEUS / "tests.yml").read_text()
    assert [rule["alert"] for rule in ALERTS if rule["alert"] not in tests] == []


def test_the_dashboard_is_one_and_nothing_of_it_overlaps() -> None:
    read = Dashboard.from_json(DASHBOARD)
    assert read.panels is not None
    assert len(read.panels) == len(DASHBOARD["panels"])
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    source = YAML(typ="safe").load(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")
    assert {panel["datasource"]["uid"] for panel in PANELS} == {source["datasources"][0]["uid"]}
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in DASHBOARD["panels"]):
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


class Prometheus:
    """One that runs."""

    def __init__(self, host: str) -> None:
        self._host = host

    @property
    def ready(self) -> bool:
        try:
            with urlopen(f"http://{self._host}/-/ready", timeout=5) as response:
                return bool(response.status == 200)
        except (URLError, OSError):
            return False

    def ask(self, expression: str) -> list[Any]:
        """The series that there are now."""
        query = urlencode({"query": expression})
        with urlopen(f"http://{self._host}/api/v1/query?{query}", timeout=10) as response:
            answer = json.load(response)
        assert answer["status"] == "success", answer
        series: list[Any] = answer["data"]["result"]
        return series


@contextmanager
def prometheus(folder: Path, worker: Worker) -> Iterator[Prometheus]:
    """What is in deploy/, but for the address of the worker and of the token, and each second."""
    yaml = YAML(typ="safe")
    config = yaml.load(PROMETHEUS / "prometheus.yml")
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(PROMETHEUS / "rules.yml")]
    (job,) = config["scrape_configs"]
    job["authorization"]["credentials_file"] = str(folder / "token")
    job["static_configs"] = [{"targets": [f"127.0.0.1:{worker.settings.web_port}"]}]
    (folder / "token").write_text(TOKEN)
    (folder / "prometheus.yml").write_text(json.dumps(config))  # which is YAML, too
    with socket.create_server(("127.0.0.1", 0)) as free:
        host = f"127.0.0.1:{free.getsockname()[1]}"
    arguments = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={host}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program("prometheus"), *arguments], stdout=log, stderr=log)
    try:
        yield Prometheus(host)
    finally:
        process.kill()
        process.wait()


def test_a_prometheus_sees_what_happens_and_every_figure_is_there(site: Sites, tmp_path: Path) -> None:
    topic = site(web_token=TOKEN, web_bind="127.0.0.1")
    worker = topic.start()
    folder = tmp_path / "prometheus"
    folder.mkdir()
    with prometheus(folder, worker) as server:
        topic.until(lambda: server.ready, worker)
        topic.until(lambda: server.ask("up == 1"), worker)
        now = time.time()
        topic.send(*clicks("eve", 60, now - 1, now), click("ann", now))
        (attacks,) = topic.until(lambda: server.ask("clickwarden:attacks:ongoing > 0"), worker)
        assert attacks["value"][1] == "1"
        topic.until(lambda: server.ask('ALERTS{alertname="ClickwardenAttack", alertstate="firing"}'), worker)

        def rejected() -> list[Any]:
            topic.send(b"no click")  # the first of a counter is no increase to Prometheus
            return server.ask("clickwarden:rejected:share5m > 0")

        topic.until(rejected, worker)
        assert [one["value"][1] for one in server.ask("clickwarden:partitions:count")] == ["1"]
        # What a figure is called is the same everywhere; of channels and captured tables there is none here.
        known = {one["metric"]["__name__"] for one in server.ask('{__name__=~"clickwarden_.+"}')}
        named = {
            name
            for text in [*EXPRESSIONS, *(rule["expr"] for rule in RULES)]
            for name in METRIC.findall(text)
        }
        assert named - known == {
            "clickwarden_untold_incidents",
            "clickwarden_capture_wal_kept_bytes",
            "clickwarden_capture_slot_room_bytes",
        }
        assert [expression for expression in EXPRESSIONS if not server.ask(expression)] == []
    assert worker.terminate() < 15
