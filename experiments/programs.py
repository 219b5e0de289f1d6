"""Others' programs that tests run; ``python -m experiments.programs`` installs Debian's if there is none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

#: Debian's package of each program.
PACKAGES = {
    "prometheus-alertmanager": "prometheus-alertmanager",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "crowdsec-custom-bouncer": "crowdsec-custom-bouncer",
    "nginx": "nginx-light",
    "haproxy": "haproxy",
}
#: What it takes to make a Docker engine (``tests/docker/engine.py``).
OF_AN_ENGINE = {"debootstrap": "debootstrap", "slirp4netns": "slirp4netns"}
#: What its makers call one of them.
ALSO_CALLED = {"prometheus-alertmanager": "alertmanager"}
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
    for name in (program, ALSO_CALLED.get(program, program)):
        if path := shutil.which(name, path=FOLDERS):
            return path
    raise FileNotFoundError(f"no {program} here: apt-get install {(PACKAGES | OF_AN_ENGINE)[program]}")


def missing(wanted: Mapping[str, str] = PACKAGES) -> list[str]:
    """Packages of the programs that are not here."""
    packages = []
    for program, package in wanted.items():
        try:
            find(program)
        except FileNotFoundError:
            packages.append(package)
    return sorted(set(packages))


def install(wanted: Mapping[str, str] = PACKAGES) -> None:
    """Install what is missing of Debian's, if we are root.

    Raises:
        FileNotFoundError: one cannot be had.
    """
    packages = missing(wanted)
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        command = INSTALL.format(packages=" ".join(packages))
        print(f"missing here: {command}", flush=True)
        subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, capture_output=True)
    for program in wanted:
        find(program)


if __name__ == "__main__":
    try:
        install()
    except FileNotFoundError as error:
        sys.exit(str(error))
