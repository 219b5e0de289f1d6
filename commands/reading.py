"""How the commands that read files are told which, and how."""

from pathlib import Path

import click
from faust.cli import argument, option

from clickwarden.errors import SettingsError
from clickwarden.formats.logformat import layout_of
from clickwarden.formats.recognition import Reading
from clickwarden.sources.files import STDIN

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
#: Arguments and options of a command that reads files; see :func:`reading_of`.
OPTIONS = [
    argument("files", nargs=-1, required=True, type=click.Path(path_type=Path)),
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


def reading_of(
    log_format: str | None, trusted_proxies: str, ipv6_prefix: int, ignored: tuple[str, ...], everything: bool
) -> Reading:
    """How the options say that logs are read.

    Raises:
        SettingsError: one is wrong; with its name.
    """
    layout = layout_of(log_format) if log_format is not None else None
    reading = Reading(layout, networks(trusted_proxies), ipv6_prefix, ignored, everything)
    for name, check in (("--trusted-proxies", reading.clients), ("--ignore", reading.sieve)):
        try:
            check()
        except SettingsError as error:
            raise SettingsError(f"{name}: {error}") from None
    return reading


def networks(written: str) -> list[str]:
    """The networks that stand in an option, with commas between."""
    return [network.strip() for network in written.split(",") if network.strip()]


def size(files: tuple[Path, ...]) -> int | None:
    """Bytes of the files; None where one is no file of a size.

    Raises:
        SettingsError: one does not exist, or is a folder.
    """
    for file in files:
        if file != STDIN and not file.exists():
            raise SettingsError(f"{file}: no such file")
        if file.is_dir():
            raise SettingsError(f"{file}: is a folder; name the files in it")
    return sum(file.stat().st_size for file in files) if all(map(Path.is_file, files)) else None
