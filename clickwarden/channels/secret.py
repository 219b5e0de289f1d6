"""Secrets: where they come from, and that nobody sees them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, unquote

#: A file that holds a secret is smaller.
MOST_BYTES = 64 * 1024
#: Shorter words of a URL are taken for words, and shown.
LEAST = 8

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_HOST = re.compile(r"localhost|(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Secret:
    """A text that is shown as ``…``, whoever prints, logs or formats it.

    >>> Secret("whsec_1"), f"{Secret('whsec_1')}", bool(Secret(""))
    (Secret(…), '…', False)
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for whom it is meant."""
        return self._text

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._text)

    def __str__(self) -> str:
        """No part of it, and not its length."""
        return "…"

    def __repr__(self) -> str:
        """No part of it, and not its length."""
        return "Secret(…)"


def hide(text: str, secrets: Iterable[Secret]) -> str:
    """A text of others with ``…`` in place of each secret that they repeat.

    >>> hide("no such token: a/b", [Secret("a/b")]), hide("/hook/a%2Fb", [Secret("a/b")])
    ('no such token: …', '/hook/…')
    """
    for secret in sorted({secret.reveal() for secret in secrets if secret}, key=len, reverse=True):
        for spelled in (secret, quote(secret, safe="")):
            text = text.replace(spelled, "…")
    return text


def resolve(written: str, environment: Mapping[str, str], *, quoted: bool) -> tuple[str, list[Secret]]:
    """A text with what its ``${…}`` stand for in their place, and those secrets.

    Args:
        written: ``${NAME}`` is of the environment, ``${file:PATH}`` the one line that a file holds.
        environment: by name.
        quoted: percent-encode what is put in, as a part of a URL has it; the whole of the text is not a part.

    Raises:
        ValueError: one is missing, or cannot be.
    """
    secrets: list[Secret] = []
    whole = _REFERENCE.fullmatch(written) is not None

    def value(found: re.Match[str]) -> str:
        secret = _value(found[1], environment)
        secrets.append(Secret(secret))
        return quote(secret, safe="") if quoted and not whole else secret

    return _REFERENCE.sub(value, written), secrets


def _value(reference: str, environment: Mapping[str, str]) -> str:
    if reference.startswith("file:"):
        value = _content(Path(reference.removeprefix("file:")))
    elif _NAME.fullmatch(reference):
        value = environment.get(reference, "")
        if not value:
            raise ValueError(
                f"${{{reference}}} is not set; set {reference} in the environment or in .env, or write "
                "${file:/path/of/a/file}"
            )
    else:
        raise ValueError(
            f"${{{reference}}} names nothing; write ${{NAME}} for the environment's, or ${{file:/path}}"
        )
    if not value.isprintable():
        raise ValueError(f"what ${{{reference}}} stands for is not one line of text; mend it")
    return value


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"{path} is too large to be a secret; name the right file")
        value = content.decode().rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}; name a file that can") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8; write it as that") from None
    if not value:
        raise ValueError(f"{path} is empty; write the secret into it")
    return value


def parts(url: str) -> Iterator[Secret]:
    """What may be secret in a URL as Apprise has them: any part that is long, and no host's name.

    >>> [part.reveal() for part in parts("slack://TOKEN1/a1B2c3D4e5/#ops?key=abcdef%2Fghij")]
    ['a1B2c3D4e5', 'abcdef/ghij']
    >>> [part.reveal() for part in parts("jsons://siem.example:8080/hooks/a1B2c3D4e5")]
    ['a1B2c3D4e5']
    """
    _, _, rest = url.partition("://")
    for part in re.split(r"[/?&=@:#,+]", rest):
        if len(part) >= LEAST and not _HOST.fullmatch(part):
            yield Secret(unquote(part))
