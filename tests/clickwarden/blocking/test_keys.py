"""The keys that bouncers show, and where they come from."""

from pathlib import Path

import pytest

from clickwarden.blocking.keys import keys_of
from clickwarden.errors import SettingsError

ENVIRONMENT = {"NGINX": "n" * 32}


def revealed(written: str) -> list[str]:
    return [key.reveal() for key in keys_of(written, ENVIRONMENT)]


def test_they_are_written_or_of_the_environment_or_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("first-of-two,second-of-two\n")
    assert revealed("") == []
    assert revealed("written-here, ${NGINX},written-here") == ["written-here", "n" * 32]
    assert revealed(f"${{file:{tmp_path / 'keys'}}}") == ["first-of-two", "second-of-two"]


@pytest.mark.parametrize(
    ("written", "why"),
    [("1234567", "could be guessed"), ("${ABSENT}", "ABSENT"), ("${file:/no/such}", "No such file")],
)
def test_what_is_wrong_is_said_and_no_key(written: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as raised:
        keys_of(f"{written},{'geheim-geheim'}", ENVIRONMENT)
    assert str(raised.value).startswith("CLICKWARDEN_BLOCK_KEYS: ")
    assert "geheim" not in str(raised.value)
