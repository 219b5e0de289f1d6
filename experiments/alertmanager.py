"""An Alertmanager to send to; ``python -m experiments.alertmanager`` installs Debian's if there is none."""

import os
import shutil
import subprocess
import sys

PACKAGE = "prometheus-alertmanager"
MISSING = f"no Alertmanager here: apt-get install {PACKAGE}, or put Prometheus' own alertmanager into PATH"
#: Of what is installed only the program is wanted, and no service.
INSTALL = (
    f"apt-get -qq update && DEBIAN_FRONTEND=noninteractive "
    f"apt-get -qq install --yes --no-install-recommends {PACKAGE} && "
    f"{{ test ! -d /run/systemd/system || systemctl --quiet disable --now {PACKAGE}; }}"
)


def find() -> str:
    """Path of the program.

    Raises:
        FileNotFoundError: there is none on this machine.
    """
    path = shutil.which(PACKAGE) or shutil.which("alertmanager")
    if path is None:
        raise FileNotFoundError(MISSING)
    return path


def install() -> None:
    """Install Debian's, if we are root.

    Raises:
        FileNotFoundError: it cannot be had.
    """
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"no Alertmanager here: {INSTALL}", flush=True)
        subprocess.run(INSTALL, shell=True, stdin=subprocess.DEVNULL, capture_output=True)
    find()


if __name__ == "__main__":
    try:
        find()
    except FileNotFoundError:
        try:
            install()
        except FileNotFoundError as error:
            sys.exit(str(error))
