"""What surrounds the code: the lock, the container files, the table of settings."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pip._internal.models.index import PyPI
from ruamel.yaml import YAML

from clickwarden import settings

ROOT = Path(__file__).parent.parent
PIN = re.compile(r"([a-z0-9-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)")


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    """The version of each package in constraints.txt."""
    return {name: version for name, version, _ in PIN.findall((ROOT / "constraints.txt").read_text())}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of docker-compose.yml."""
    compose: dict[str, dict[str, Any]] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
    return compose["services"]


def test_the_lock_covers_what_pyproject_asks_for(pins: dict[str, str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        asked += extra
    for requirement in map(Requirement, asked):
        pinned = pins.get(canonicalize_name(requirement.name))
        assert pinned is not None, f"{requirement} is not pinned: run make constraints"
        assert requirement.specifier.contains(pinned), f"{requirement} is pinned to {pinned}"


def test_the_lock_holds_hashed_pins_and_nothing_else() -> None:
    rest = PIN.sub("", (ROOT / "constraints.txt").read_text())
    assert [line for line in rest.splitlines() if line and not line.lstrip().startswith("#")] == []


def test_what_is_pinned_is_installed(pins: dict[str, str]) -> None:
    assert {name: version(name) for name in pins} == pins


def test_no_file_names_a_package_index() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    index = re.compile(f"{PyPI.netloc}|{PyPI.file_storage_domain}".encode())
    files = [ROOT / name for name in listed.decode().split("\0") if name]
    assert ROOT / "constraints.txt" in files
    assert [file for file in files if file.is_file() and index.search(file.read_bytes())] == []


def test_compose_file_is_valid() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema"),
            *("--builtin-schema", "vendor.compose-spec", "docker-compose.yml"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_compose_publishes_to_this_machine_only(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:6066:6066"]


def test_compose_sets_settings_that_exist(services: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for service in ("worker", "simulator"):
        with monkeypatch.context() as environment:
            for name, value in services[service]["environment"].items():
                environment.setenv(name, value)
            assert settings.Settings.load().broker == "kafka://kafka:9092"


def test_env_example_holds_the_defaults() -> None:
    given = dotenv_values(ROOT / ".env.example")
    defaults = settings.Settings.model_construct()
    for name, value in given.items():
        if name != "CLICKWARDEN_WORKER_ID":
            default = getattr(defaults, name.removeprefix(settings.PREFIX).lower())
            assert value == str(default), name


def test_readme_lists_every_setting() -> None:
    assert settings.table() in (ROOT / "README.md").read_text(), "run python -m clickwarden.settings"
