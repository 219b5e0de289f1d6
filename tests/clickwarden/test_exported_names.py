"""What others may import from ``clickwarden``, what is said of it, and that its types are installed too."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

import clickwarden

ROOT = Path(__file__).parents[2]


def names_for_type_checkers() -> list[str]:
    """What the module imports where only a type checker looks."""
    module = ast.parse(Path(clickwarden.__file__).read_text())
    (block,) = (each for each in module.body if isinstance(each, ast.If))
    return [alias.name for each in block.body if isinstance(each, ast.ImportFrom) for alias in each.names]


def test_the_names_are_those_of_all_and_no_others() -> None:
    imported: dict[str, object] = {}
    exec("from clickwarden import *", imported)
    del imported["__builtins__"]
    assert sorted(imported) == dir(clickwarden) == clickwarden.__all__
    assert sorted(names_for_type_checkers()) == clickwarden.__all__


def test_a_name_that_is_not_among_them_is_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'SnapshotError'"):
        clickwarden.SnapshotError  # noqa: B018


@pytest.mark.parametrize("name", clickwarden.__all__)
def test_each_is_what_it_is_called_and_says_what_it_is(name: str) -> None:
    exported = getattr(clickwarden, name)
    assert exported.__name__ == name
    assert vars(exported)["__doc__"], "a docstring of its own, not its base's"
    assert re.search(rf"`{name}`|import .*\b{name}\b", (ROOT / "README.md").read_text())


@pytest.mark.parametrize("name", [name for name in clickwarden.__all__ if name.endswith("Error")])
def test_each_error_is_in_the_tree(name: str) -> None:
    assert issubclass(getattr(clickwarden, name), clickwarden.ClickwardenError)
    assert name in (clickwarden.__doc__ or "")


def test_the_package_that_is_installed_holds_its_types(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(
        ROOT / "clickwarden", source / "clickwarden", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "from setuptools import build_meta; build_meta.build_wheel('..')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = ZipFile(wheel).namelist()
    assert "clickwarden/py.typed" in installed
    assert "clickwarden/sources/producer.py" in installed
