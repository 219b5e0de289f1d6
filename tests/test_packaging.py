"""What surrounds the code: the lock, the container files, the table of settings."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pip._internal.models.index import PyPI
from ruamel.yaml import YAML

from clickwarden import settings
from clickwarden.kafka import roles

ROOT = Path(__file__).parent.parent
PIN = re.compile(r"([a-z0-9-]+)==(\S+)(?: ; ([^\\\n]+))?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)")
#: A part of Python from 3.14 on, and what gives it before.
BACKPORTED = {"compression", "backports"}
#: The extras that users install themselves.
OPTIONAL = ["capture", "files", "learn", "notify", "registry", "serve", "spark"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(file: str) -> dict[str, str]:
    """The version of each package in a constraints file."""
    return {name: version for name, version, _, _ in PIN.findall((ROOT / file).read_text())}


def asked(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for: to build, to run, and with these extras."""
    project = PROJECT["project"]
    lists = [PROJECT["build-system"]["requires"], project["dependencies"]]
    lists += [project["optional-dependencies"][extra] for extra in extras]
    return [Requirement(name) for names in lists for name in names]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of docker-compose.yml."""
    compose: dict[str, dict[str, Any]] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
    return compose["services"]


@pytest.mark.parametrize(
    ("file", "extras"),
    [
        ("constraints.txt", ["broker"]),
        ("constraints-capture.txt", ["broker", "capture", "learn", "serve"]),
        (
            "constraints-dev.txt",
            ["broker", "capture", "dev", "files", "learn", "notify", "registry", "serve", "spark"],
        ),
    ],
)
def test_the_lock_covers_what_pyproject_asks_for(file: str, extras: list[str]) -> None:
    for requirement in asked(*extras):
        pinned = pins(file).get(canonicalize_name(requirement.name))
        assert pinned is not None, f"{requirement} is not pinned: run make constraints"
        assert requirement.specifier.contains(pinned), f"{requirement} is pinned to {pinned}"


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-capture.txt", "constraints-dev.txt"])
def test_the_lock_holds_hashed_pins_and_nothing_else(file: str) -> None:
    rest = PIN.sub("", (ROOT / file).read_text())
    assert [line for line in rest.splitlines() if line and not line.lstrip().startswith("#")] == []


def test_the_lock_for_all_holds_the_one_for_users() -> None:
    """With the same versions and hashes, or tests would judge other packages than those that run."""
    users, image, everybodys = (
        set(PIN.findall((ROOT / f"constraints{which}.txt").read_text())) for which in ("", "-capture", "-dev")
    )
    assert users < image < everybodys, f"run make constraints: {users - image} {image - everybodys}"


def test_what_is_pinned_is_installed() -> None:
    pinned = pins("constraints-dev.txt")
    assert {name: version(name) for name in pinned} == pinned


def test_users_install_what_running_needs_and_nothing_else() -> None:
    needed: set[str] = set()
    reached = asked("broker")
    while reached:
        requirement = reached.pop()
        name = canonicalize_name(requirement.name)
        if name not in needed and (not requirement.marker or requirement.marker.evaluate({"extra": ""})):
            needed.add(name)
            reached += map(Requirement, requires(name) or ())
    assert pins("constraints.txt").keys() == needed


def test_users_install_all_that_is_imported() -> None:
    ours = PROJECT["tool"]["importlinter"]["root_packages"]
    imported = {
        name.partition(".")[0]
        for room in ours
        for file in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in _imported(node)
    }
    foreign = imported - sys.stdlib_module_names - set(ours) - BACKPORTED
    assert "rocksdict" in foreign
    provided = packages_distributions()
    optional = {canonicalize_name(one.name) for one in asked(*OPTIONAL)}
    installed = pins("constraints.txt").keys() | optional
    assert [name for name in foreign if not {*map(canonicalize_name, provided[name])} & installed] == []


@pytest.mark.parametrize("target", ["setup", "demo", "test", "lint", "chaos", "bench", "scorecard"])
def test_users_wait_for_nothing_that_only_tests_need(target: str) -> None:
    said = subprocess.run(
        ["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "--requirement constraints.txt" in said
    assert ("--requirement constraints-dev.txt" in said) == (target not in ("setup", "demo"))


def _imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), level=0):
            return [module]
    return []


def test_no_file_names_a_package_index() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    index = re.compile(f"{PyPI.netloc}|{PyPI.file_storage_domain}".encode())
    files = [ROOT / name for name in listed.decode().split("\0") if name]
    assert {ROOT / "constraints.txt", ROOT / "constraints-dev.txt"} <= set(files)
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
    assert ports == [
        "127.0.0.1:6066:6066",
        "127.0.0.1:6067:6066",
        "127.0.0.1:9090:9090",
        "127.0.0.1:3000:3000",
    ]


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


def test_the_readme_has_the_table_of_rights() -> None:
    assert roles.table() in (ROOT / "README.md").read_text(), "run python -m clickwarden.kafka.roles"
