"""The application itself."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from app import application as module
from app.application import create
from clickwarden.errors import ClickwardenError
from clickwarden.settings import Settings


def test_it_does_not_work_without_a_module_that_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some_agents"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "lame.py").write_text("import not_there_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    application = create(Settings(_env_file=None, data_dir=tmp_path / "data"))
    application.conf.autodiscover = ["some_agents"]
    with pytest.raises(
        ClickwardenError, match=r"module some_agents\.lame .*No module named 'not_there_at_all'"
    ):
        application.discover()


async def test_a_task_that_drops_its_cancellation_ends_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CANCEL_SECONDS", 0.01)
    application = create(Settings(_env_file=None, data_dir=tmp_path / "data"))
    began = asyncio.Event()

    async def stubborn() -> None:
        began.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    task = application.add_future(stubborn())
    await began.wait()
    await asyncio.wait_for(application.stop(), 10)
    assert task.done()
