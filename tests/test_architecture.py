"""The walls between the packages; the contracts are in pyproject.toml."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_lists_of_packages_agree() -> None:
    """Every package of the product is in each list that is kept by hand."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    product = {found.parent.name for found in ROOT.glob("*/__init__.py")} - {"tests", "bench", "experiments"}
    lists = {
        "walls": config["importlinter"]["root_packages"],
        "circles": config["importlinter"]["contracts"][-1]["ancestors"],
        "wheel": [name.rstrip("*") for name in config["setuptools"]["packages"]["find"]["include"]],
        "doctests": [name for name in config["pytest"]["ini_options"]["testpaths"] if name != "tests"],
        "types": [
            name for name in config["mypy"]["packages"] if name not in ("tests", "bench", "experiments")
        ],
        "image": [
            line.removeprefix("!")
            for line in (ROOT / ".dockerignore").read_text().split()
            if (ROOT / line.removeprefix("!") / "__init__.py").exists()
        ],
    }
    assert {name: set(listed) for name, listed in lists.items()} == dict.fromkeys(lists, product)


def test_imports_point_one_way() -> None:
    # In a process of its own: it changes what is logged.
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_detection_runs_without_faust_and_kafka() -> None:
    heavy = {"faust", "mode", "aiokafka", "pydantic"}
    program = f"import sys, clickwarden.detection.snapshot; print(*{heavy} & sys.modules.keys())"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == ""


def test_no_test_imports_another() -> None:
    """What tests share is in modules of its own, or a test would run only where another one can."""
    imports = re.compile(r"^ *(?:from|import) tests\b.*\b(?:test_|conftest)", re.MULTILINE)
    modules = Path(__file__).parent.rglob("*.py")
    assert [module.name for module in modules if imports.search(module.read_text())] == []
