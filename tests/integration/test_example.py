"""The example by which a shop learns to send its clicks runs as it stands, wherever it stands."""

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import clickwarden
from tests.site import Site, environment_of

README = Path(__file__).parents[2] / "README.md"


def of_the_docstring() -> str:
    found = re.search(r"^    import .*\n(?:(?:    .*)?\n)+", clickwarden.__doc__ or "", re.MULTILINE)
    assert found
    return textwrap.dedent(found[0])


def of_the_readme() -> str:
    (found,) = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.parametrize("example", [of_the_docstring, of_the_readme])
def test_the_example_sends_a_click(
    site: Callable[..., Site], tmp_path: Path, example: Callable[[], str]
) -> None:
    shop = site(data_dir=tmp_path / "outbox")
    began = time.time()
    subprocess.run(
        [sys.executable, "-W", "error", "-c", example()],
        env=os.environ | environment_of(shop.settings),
        cwd=tmp_path,  # where no .env is
        check=True,
        timeout=60,
    )
    (record,) = shop.clicks()
    click = json.loads(record.value or b"")
    assert began <= click.pop("timestamp") <= time.time()
    assert click == {"user_id": "user-1", "event": "view", "product_id": "product-7"}
    assert record.key == b"user-1"
