"""A Docker engine: the one that answers here, else one of Debian's in namespaces of its own.

What is made changes neither this machine's network nor its mounts, and ends with us. It sees the checkout,
read-only. Its files are kept for the next time in the user's cache.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic, sleep
from typing import IO

from experiments import programs
from tests.docker import images

CHECKOUT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clickwarden" / "docker"
#: Debian 12 has engine 20.10; the demo wants 25, which knows a health check's start interval.
RELEASE = "trixie"
PACKAGES = "docker.io,docker-cli,docker-compose,docker-buildx,iptables,iproute2,ca-certificates"
#: Where a made engine has the checkout, and this cache.
SEEN_AS, MADE = "/srv/clickwarden", "/srv/made"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
#: Networks for tests (RFC 2544), which no machine around us has.
NETWORK, BRIDGE, POOL = "198.18.0.0/24", "198.18.1.1/24", "base=198.18.128.0/17,size=24"
NAMESERVER = "198.18.0.3"
START_SECONDS, STOP_SECONDS = 60.0, 30.0
#: None of ours outlives us.
BOUND = ("setpriv", "--pdeathsig", "KILL")

#: The first process of the namespaces: it mounts, waits for the network, and becomes the engine.
FIRST = f"""
set -eu
root=$1 cache=$2 checkout=$3
mount --bind "$root" "$root"
mkdir -p "$root/.old" "$root/var/lib/docker" "$root{SEEN_AS}" "$root{MADE}"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount --bind "$cache/data" "$root/var/lib/docker"
mount --bind -o ro "$cache" "$root{MADE}"
mount --bind -o ro "$checkout" "$root{SEEN_AS}"
cd "$root"; pivot_root . .old; umount -l /.old; cd /
export PATH={PATH}
ip link set lo up
until ip route | grep -q default; do sleep 0.05; done
exec dockerd --log-level warn --bip {BRIDGE} --default-address-pool {POOL}
"""


class NoEngine(Exception):
    """There is no engine, and why none can be made."""


class Engine:
    """An engine, and how its commands are run.

    Args:
        prefix: what goes before a command.
        checkout: where it has the files of the repository.
    """

    def __init__(self, prefix: tuple[str, ...], checkout: str) -> None:
        self._prefix = prefix
        self.checkout = checkout

    def docker(
        self, *arguments: str, environment: Mapping[str, str] | None = None, stdin: bytes | IO[bytes] = b""
    ) -> subprocess.CompletedProcess[str]:
        """Run ``docker`` and wait for it; what it says on stderr is in its output."""
        given = [f"{name}={value}" for name, value in (environment or {}).items()]
        command = [*self._prefix, "env", *given, "docker", *arguments]
        with TemporaryFile() as file:
            if isinstance(stdin, bytes):
                file.write(stdin)
                file.seek(0)
                stdin = file
            return subprocess.run(
                command,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )

    def answers(self) -> bool:
        """Whether it can build and run the demo."""
        try:
            return not self.docker("version").returncode and not self.docker("compose", "version").returncode
        except OSError:
            return False


@contextmanager
def engine() -> Iterator[Engine]:
    """The engine that answers here, else one that is made, and stopped on exit.

    Raises:
        NoEngine: none answers, and none can be made.
    """
    here = Engine((), str(CHECKOUT))
    if here.answers():
        yield here
        return
    print(f"No Docker engine answers here: one of Debian's is made in {CACHE}", flush=True)
    _check()
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one run after the other: an engine wants its data for itself
        with _made() as made:
            yield made


@contextmanager
def _made() -> Iterator[Engine]:
    """An engine of ours with its images."""
    with ThreadPoolExecutor() as pool:  # the network is most of it
        root = pool.submit(_bootstrapped, CACHE / "engine", RELEASE, PACKAGES)
        base = pool.submit(_bootstrapped, CACHE / "base", images.RELEASE, images.PACKAGES)
        contexts = pool.submit(images.gather, CACHE / "contexts")
    contexts.result()
    with _running(root.result()) as made:
        images.provide(made.docker, base.result(), f"{MADE}/contexts")
        yield made


def _check() -> None:
    """Raise NoEngine if this is no machine to make one on."""
    if os.geteuid() or not shutil.which("apt-get"):
        raise NoEngine("to make one takes root, and Debian")
    try:
        programs.install(programs.OF_AN_ENGINE | {"prometheus": "prometheus"})
    except FileNotFoundError as error:
        raise NoEngine(str(error)) from None
    tried = ("unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "true")
    if subprocess.run(tried, capture_output=True).returncode or not Path("/dev/net/tun").exists():
        raise NoEngine("namespaces may not be made here, or there is no /dev/net/tun")


def _bootstrapped(root: Path, release: str, packages: str) -> Path:
    """A folder with a small Debian and these packages."""
    if (root / "ready").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    sources = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"],
        capture_output=True,
        text=True,
    ).stdout.split()
    command = ["debootstrap", "--variant=minbase", f"--include={packages}", release, str(root), *sources[:1]]
    # What a crash leaves half is made anew: nothing has to be on the disk at once.
    hasty = os.environ | {"DPKG_FORCE": "unsafe-io"}
    with root.with_suffix(".log").open("wb") as log:
        if subprocess.run(command, env=hasty, stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode:
            raise NoEngine(f"{' '.join(command)}: see {log.name}")
    (root / "ready").touch()
    return root


@contextmanager
def _running(root: Path) -> Iterator[Engine]:
    """The engine whose files are in a folder."""
    (CACHE / "data").mkdir(exist_ok=True)
    (root / "etc" / "resolv.conf").write_text(f"nameserver {NAMESERVER}\n")
    with ExitStack() as stack:
        log = stack.enter_context((CACHE / "engine.out").open("wb"))
        apart = ("unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child")
        outer = subprocess.Popen(
            [*BOUND, *apart, "sh", "-c", FIRST, "sh", str(root), str(CACHE), str(CHECKOUT)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        stack.callback(_end, outer)
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        while not (found := children.read_text().split()):
            sleep(0.02)
        (first,) = found
        stack.callback(subprocess.run, ["kill", "-TERM", first], stderr=subprocess.DEVNULL)
        options = ("--configure", "--mtu", "1400", "--cidr", NETWORK, "--disable-host-loopback")
        network = subprocess.Popen(
            [*BOUND, "slirp4netns", *options, first, "tap0"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        stack.callback(_end, network, kill=True)
        enter = ("nsenter", "-t", first, "-m", "-n", "-u", "-i", "-p", "-r", "-w")
        made = Engine((*enter, "env", "-i", "HOME=/root", f"PATH={PATH}"), SEEN_AS)
        deadline = monotonic() + START_SECONDS
        while not made.answers():
            if outer.poll() is not None or monotonic() > deadline:
                raise NoEngine(f"the engine that was made does not start: see {log.name}")
            sleep(0.2)
        yield made


def _end(process: subprocess.Popen[bytes], *, kill: bool = False) -> None:
    """Wait until a process has ended, or end it."""
    if kill:
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
