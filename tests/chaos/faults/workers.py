"""What may happen to a worker: it is killed, stopped or frozen, comes or goes, or finds its disk damaged."""

import shutil
import signal
import time
from pathlib import Path
from random import Random

from msgspec.structs import replace

from agents.silence import PIECE_SECONDS
from app.pulse import EXIT_CODE
from tests.chaos.cluster import FENCED, IDLE_SECONDS, SESSION_SECONDS, Broken, Cluster
from tests.chaos.faults.fault import Faults, any_worker, several_run

faults = Faults()


@faults.declare(weight=16)
def sigkill(cluster: Cluster, random: Random) -> str:
    """A worker is killed. Restarted, the same member counts on from its last snapshot."""
    name = any_worker(cluster, random)
    cluster.kill(name)
    cluster.start(name)
    return name


@faults.declare(weight=8)
def sigkill_again(cluster: Cluster, random: Random) -> str:
    """A worker is killed, and again while it comes up: as it joins, recovers, or has just begun to count."""
    name = any_worker(cluster, random)
    lives = [random.uniform(0, 8) for _ in range(2)]
    cluster.kill(name)
    for life in lives:
        cluster.start(name)
        time.sleep(life)
        cluster.kill(name)
    cluster.start(name)
    return f"{name}, after {' and '.join(f'{life:.1f}' for life in lives)} s"


@faults.declare(weight=4, possible=several_run)
def sigkill_of_all(cluster: Cluster, random: Random) -> str:
    """All workers are killed at once. Nobody knows more than Kafka does."""
    names = sorted(cluster.meant)
    for name in names:
        cluster.kill(name)
    cluster.start(*names)
    return ", ".join(names)


@faults.declare(weight=3)
def sigterm(cluster: Cluster, random: Random) -> str:
    """A worker is told to stop. It leaves its state behind within seconds; its next life goes on there."""
    name = any_worker(cluster, random)
    seconds = cluster.stop(name)
    cluster.start(name)
    return f"{name}, gone in {seconds:.1f} s"


@faults.declare(weight=3)
def sigstop(cluster: Cluster, random: Random) -> str:
    """A worker is frozen for longer than its session. Awake, it ends by itself before it speaks to Kafka."""
    cluster.until(cluster.ready, 120, "all workers ready")  # one that still starts owns nothing yet
    name = any_worker(cluster, random)
    zombie = cluster.meant.pop(name)
    zombie.send_signal(signal.SIGSTOP)
    frozen = SESSION_SECONDS + random.uniform(1, 6)
    time.sleep(frozen)
    if zombie.alive:
        zombie.send_signal(signal.SIGCONT)
    code = zombie.wait(30)
    if code not in (FENCED if cluster.may_end(zombie) else {EXIT_CODE}):
        raise Broken(f"{name} woke up after {frozen:.1f} s and ended with {code}, not {EXIT_CODE}")
    cluster.start(name)
    return f"{name}, for {frozen:.1f} s"


@faults.declare(weight=3, possible=lambda cluster: bool(cluster.absent))
def join(cluster: Cluster, random: Random) -> str:
    """A worker joins. The partitions that move to it are counted on from their state."""
    name = random.choice(cluster.absent)
    cluster.start(name)
    return name


@faults.declare(weight=2, possible=several_run)
def leave(cluster: Cluster, random: Random) -> str:
    """A worker leaves for good. The others take over its partitions."""
    name = any_worker(cluster, random)
    return f"{name}, gone in {cluster.stop(name):.1f} s"


@faults.declare(weight=2, possible=several_run)
def lost(cluster: Cluster, random: Random) -> str:
    """A worker is killed and does not come back. After its session the others take over its partitions."""
    name = any_worker(cluster, random)
    cluster.kill(name)
    return name


@faults.declare(weight=2)
def data_deleted(cluster: Cluster, random: Random) -> str:
    """A worker comes back with an empty disk. Its tables are rebuilt from their changelogs."""
    name = any_worker(cluster, random)
    cluster.kill(name)
    shutil.rmtree(cluster.data(name), ignore_errors=True)
    cluster.start(name)
    return name


@faults.declare(weight=2)
def data_corrupted(cluster: Cluster, random: Random) -> str:
    """A worker comes back with a damaged disk. What it cannot trust is rebuilt from the changelog."""
    name = any_worker(cluster, random)
    cluster.kill(name)
    kinds: dict[str, list[Path]] = {}
    for kind in ("*.sst", "*.log", "MANIFEST-*", "CURRENT"):
        files = [path for path in sorted(cluster.data(name).glob(f"**/*.db/{kind}")) if path.stat().st_size]
        if files:
            kinds[kind] = files
    kind, files = random.choice(list(kinds.items()) or [("none yet", [])])
    for path in files:
        content = bytearray(path.read_bytes())
        first = random.randrange(len(content))
        content[first : first + 4096] = random.randbytes(len(content[first : first + 4096]))
        path.write_bytes(content)
    cluster.start(name)
    return f"{name}, {len(files)} files {kind}"


@faults.declare(weight=1)
def rules_changed(cluster: Cluster, random: Random) -> str:
    """Other thresholds, put into force under load. They are from the next window on, and drop no count."""
    by = random.choice((-1, 0, 1, 2))
    cluster.put_rules([replace(rule, threshold=rule.threshold + by) for rule in cluster.rules])
    return f"thresholds {by:+}"


@faults.declare(weight=2)
def silence(cluster: Cluster, random: Random) -> str:
    """Nobody clicks, and wall clock closes the windows. It holds what it decided, also over a kill."""
    cluster.until(cluster.ready, 120, "all workers ready")
    name = any_worker(cluster, random)
    with cluster.load.silence():
        cluster.until(lambda: not cluster.site.behind(), 120, "all counted that there is")
        time.sleep(random.uniform(0, 3 * IDLE_SECONDS))
        cluster.kill(name)
        cluster.start(name)
        # Where clicks have come unevenly, as behind a stalled network, it waits for the next piece of them.
        cluster.until(cluster.closed, 120 + PIECE_SECONDS, "wall clock closes the windows of a minute")
    return name
