"""The walls between the packages; the contracts are in pyproject.toml."""

import subprocess
import sys

from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports


def test_imports_point_one_way() -> None:
    assert lint_imports(no_cache=True) == EXIT_STATUS_SUCCESS


def test_detection_runs_without_faust_and_kafka() -> None:
    heavy = {"faust", "mode", "aiokafka", "pydantic"}
    program = f"import sys, clickwarden.detection.snapshot; print(*{heavy} & sys.modules.keys())"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == ""
