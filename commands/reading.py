"""How the commands that read files are told which, and how."""

from collections.abc import Sequence
from pathlib import Path

import click
from faust.cli import argument, option
from pydantic import TypeAdapter, ValidationError

from clickwarden.errors import SettingsError
from clickwarden.formats.logformat import layout_of
from clickwarden.formats.recognition import Reading
from clickwarden.settings import Places, Settings
from clickwarden.sources.files import STDIN

#: Options that say where a field of a click stands: the setting in whose place, and what is told of it.
PLACES = {
    "user": (
        "field_user_id",
        "Where the user stands in clicks, in NDJSON or a table: a field or column, a path with full stops "
        "into one, or several with | between, of which the first counts that is there.",
    ),
    "event": ("field_event", "Where the event stands, in the same way."),
    "product": ("field_product_id", "Where the product stands, in the same way."),
    "time": ("field_timestamp", "Where the time stands, in the same way."),
}
#: Options that say who a client is; see :func:`networks`.
CLIENTS = [
    option(
        "--trusted-proxies",
        metavar="NETWORKS",
        default="",
        help="Your own proxies, addresses or networks with commas between, unix: for a socket. The client is "
        "then the last in X-Forwarded-For that is none of them. Without, the header is not read: anybody can "
        "write it.",
    ),
    option(
        "--ipv6-prefix",
        metavar="BITS",
        type=click.IntRange(16, 128),
        default=128,
        show_default=True,
        help="Take all IPv6 addresses with the same first bits for one client; 64 is what a household has.",
    ),
]
#: Options that say how files are read; see :func:`reading_of`.
HOW = [
    *(
        option(f"--{name}", metavar="PLACE", help=f"{help}  [default: CLICKWARDEN_{setting.upper()}]")
        for name, (setting, help) in PLACES.items()
    ),
    option(
        "--format",
        "log_format",
        metavar="FORMAT",
        help="The log's own format, if it is not recognised: the string of nginx' log_format or Apache's "
        "LogFormat, as it stands in the server's configuration.",
    ),
    *CLIENTS,
    option(
        "--ignore",
        "ignored",
        multiple=True,
        metavar="WHAT",
        help="Leave out an address, a network, or a path (/healthz, /internal/*), as of your own monitoring; "
        "may be given again.",
    ),
    option(
        "--everything",
        is_flag=True,
        help="Count static files and WebDAV too, which are left out of logs: a browser or a file manager "
        "asks for dozens at once.",
    ),
]
#: Arguments and options of a command that reads files.
OPTIONS = [argument("files", nargs=-1, required=True, type=click.Path(path_type=Path)), *HOW]

#: See :func:`followed`.
FOLLOW = option(
    "--follow",
    is_flag=True,
    help="Go on with what is written to the file, also when it is rotated or not there yet, until Ctrl-C.",
)


def reading_of(
    settings: Settings,
    log_format: str | None,
    trusted_proxies: str,
    ipv6_prefix: int,
    ignored: tuple[str, ...],
    everything: bool,
    **places: str | None,
) -> tuple[Settings, Reading]:
    """How the options say that files are read: the settings with the fields that were named, and the logs.

    Raises:
        SettingsError: one is wrong; with its name.
    """
    fields = {
        PLACES[name][0]: _place(f"--{name}", given) for name, given in places.items() if given is not None
    }
    reading = Reading(
        layout_of(log_format) if log_format is not None else None,
        networks(trusted_proxies),
        ipv6_prefix,
        ignored,
        everything,
        named=bool(fields),
    )
    for name, check in (("--trusted-proxies", reading.clients), ("--ignore", reading.sieve)):
        try:
            check()
        except SettingsError as error:
            raise SettingsError(f"{name}: {error}") from None
    return settings.model_copy(update=fields), reading


def networks(written: str) -> list[str]:
    """The networks that stand in an option, with commas between."""
    return [network.strip() for network in written.split(",") if network.strip()]


def _place(option: str, given: str) -> str:
    try:
        places: str = TypeAdapter(Places).validate_python(given)
    except ValidationError as error:
        raise SettingsError(f"{option}: {error.errors()[0]['ctx']['error']}") from None
    for place in places.split("|"):
        if place.startswith("@") and not place.startswith("@field:"):
            raise SettingsError(
                f"{option}: there is no {place} in a file; a field of that name is @field:{place}"
            )
    return places


def followed(files: Sequence[Path]) -> Path:
    """The file to follow.

    Raises:
        SettingsError: there are several, or it is none.
    """
    if len(files) != 1 or (files[0] != STDIN and files[0].exists() and not files[0].is_file()):
        raise SettingsError("--follow goes with one file, or with - for a pipe")
    return files[0]


def size(files: Sequence[Path]) -> int | None:
    """Bytes of the files; None where one is no file of a size."""
    return sum(file.stat().st_size for file in files) if all(map(Path.is_file, files)) else None
