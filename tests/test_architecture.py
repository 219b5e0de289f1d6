"""The walls between the packages; the contracts are in pyproject.toml."""

import re
import subprocess
import sys
from pathlib import Path

from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports


def test_imports_point_one_way() -> None:
    assert lint_imports(no_cache=True) == EXIT_STATUS_SUCCESS


def test_detection_runs_without_faust_and_kafka() -> None:
    heavy = {"faust", "mode", "aiokafka", "pydantic"}
    program = f"import sys, clickwarden.detection.snapshot; print(*{heavy} & sys.modules.keys())"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == ""


def test_no_test_imports_another() -> None:
    """What tests share is in modules of its own, or a test would run only where another one can."""
    imports = re.compile(r"^ *(?:from|import) tests\b.*\b(?:test_|conftest)", re.MULTILINE)
    modules = Path(__file__).parent.rglob("*.py")
    assert [module.name for module in modules if imports.search(module.read_text())] == []
