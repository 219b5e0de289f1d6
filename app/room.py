"""Room on the machine: open files, and space on the disk."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.pulse import REFUSED, end
from app.visitors import CONNECTIONS, STRANGERS
from clickwarden.errors import SettingsError
from clickwarden.kafka.topics import changelogs
from clickwarden.settings import Settings

#: Files of a worker without partitions: Kafka's connections, the decoding process, the log.
FILES = 100
#: Of one partition of one table: RocksDB's own, and those with rows in them (``tables.partitioned``).
FILES_A_TABLE = 16
#: Connections of people who were let in for which there has to be room.
LISTENERS = 64

NO_FILES = errno.EMFILE, errno.ENFILE
NO_SPACE = errno.ENOSPC, errno.EDQUOT, errno.EFBIG


def make_room(settings: Settings, partitions: int) -> int:
    """Have the system let this process open as many files as it may need, though it get every partition.

    Args:
        settings: of the worker, who has a table for each changelog.
        partitions: of the clicks topic.

    Returns:
        how many connections of the page's port there is room for.

    Raises:
        SettingsError: it may not have as many.
    """
    counting = FILES + FILES_A_TABLE * len(list(changelogs(settings))) * partitions
    needed = counting + STRANGERS + LISTENERS
    allowed = _raise_limit(counting + CONNECTIONS)
    if allowed < needed:
        allowed = _raise_limit(needed)
    if allowed < needed:
        raise SettingsError(
            f"a worker that gets all {partitions} partitions may need {needed} open files, and the system "
            f"allows {allowed}: start it behind 'ulimit -n {needed}', with LimitNOFILE={needed} under "
            f"systemd, or --ulimit nofile={needed} in Docker"
        )
    return min(CONNECTIONS, allowed - counting)


def connections() -> int:
    """Have the system let this process hold as many connections as a port does; how many it lets it."""
    return max(1, min(CONNECTIONS, _raise_limit(FILES + CONNECTIONS) - FILES))


def _raise_limit(wanted: int) -> int:
    """Raise the soft limit on open files as far as wanted and possible; what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    except (ValueError, OSError):  # macOS has a lower limit than it names
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft


@contextmanager
def enough_room(folder: Path) -> Iterator[None]:
    """End the worker where the machine has no room for what is done with files in this folder.

    Nothing of the worker's own is lost: Kafka has it, before the folder does.
    """
    try:
        yield
    except Exception as error:  # rocksdict knows no other
        if why := shortage(error, folder):
            end(why, REFUSED)
        raise


def shortage(error: Exception, folder: Path) -> str:
    """What the machine has too little of, in words; empty where that is not the error."""
    for number in NO_FILES:
        if (cause := os.strerror(number)) in str(error):
            allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            return f"no more files can be opened in {folder} ({cause}): raise 'ulimit -n', which is {allowed}"
    for number in NO_SPACE:
        if (cause := os.strerror(number)) in str(error):
            return (
                f"CLICKWARDEN_DATA_DIR={folder}: there is no room on the disk ({cause}): make some and start "
                "again; nothing is lost, Kafka has all that was counted"
            )
    return ""
