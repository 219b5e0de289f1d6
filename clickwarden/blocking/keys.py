"""The keys that bouncers show."""

from collections.abc import Mapping, Sequence

from clickwarden.channels.secret import Secret, resolve
from clickwarden.errors import SettingsError
from clickwarden.settings import PREFIX, TOKEN_LENGTH

SETTING = f"{PREFIX}BLOCK_KEYS"


def keys_of(written: str, environment: Mapping[str, str]) -> Sequence[Secret]:
    """The keys of the setting, which may name others of the environment or files.

    Raises:
        SettingsError: one is missing, or too short.
    """
    try:
        resolved, _ = resolve(written, environment, quoted=False)
    except ValueError as error:
        raise SettingsError(f"{SETTING}: {error}") from None
    keys = [key.strip() for key in resolved.split(",") if key.strip()]
    if any(len(key) < TOKEN_LENGTH for key in keys):
        raise SettingsError(
            f"{SETTING}: a key is shorter than {TOKEN_LENGTH} characters and could be guessed; "
            "'openssl rand -hex 16' makes one"
        )
    return [Secret(key) for key in dict.fromkeys(keys)]
