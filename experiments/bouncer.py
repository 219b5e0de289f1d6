"""What enforces a list of blocks; ``python -m experiments.bouncer`` installs Debian's where there is none."""

import os
import shutil
import subprocess
import sys

#: Package of each program.
PACKAGES = {
    "crowdsec-custom-bouncer": "crowdsec-custom-bouncer",
    "nginx": "nginx-light",
    "haproxy": "haproxy",
}
#: Programs of administrators are not in everybody's PATH.
FOLDERS = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
#: Of what is installed only the program is wanted, and no service: in runlevel 1 Debian starts none.
INSTALL = (
    "apt-get -qq update && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive "
    "apt-get -qq install --yes --no-install-recommends {packages} && "
    "{{ test ! -d /run/systemd/system || systemctl --quiet disable --now {packages}; }}"
)


def find(program: str) -> str:
    """Path of a program.

    Raises:
        FileNotFoundError: there is none on this machine.
    """
    path = shutil.which(program, path=FOLDERS)
    if path is None:
        raise FileNotFoundError(f"no {program} here: apt-get install {PACKAGES[program]}")
    return path


def install() -> None:
    """Install what is missing of Debian's, if we are root.

    Raises:
        FileNotFoundError: one cannot be had.
    """
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program, path=FOLDERS)]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        command = INSTALL.format(packages=" ".join(missing))
        print(f"missing here: {command}", flush=True)
        subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, capture_output=True)
    for program in PACKAGES:
        find(program)


if __name__ == "__main__":
    try:
        install()
    except FileNotFoundError as error:
        sys.exit(str(error))
