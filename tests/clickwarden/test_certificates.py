"""Certificates and keys that cannot be used are refused in words; those renewed are used."""

import asyncio
import os
import shutil
import ssl
from pathlib import Path

import pytest

from clickwarden.certificates import Files, RenewedContext
from clickwarden.errors import SettingsError
from clickwarden.settings import PREFIX, Settings
from tests.secured import Certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize(
    ("setting", "name", "cause", "cure"),
    [
        ("SSL_KEYFILE", "encrypted.key", "the key is encrypted", "openssl pkey -in KEY -out NEW"),
        ("SSL_KEYFILE", "intruder.key", "the key is not that of the certificate", "name the one that it"),
        ("SSL_KEYFILE", "garbage", "holds no key", "name a file in PEM"),
        ("SSL_KEYFILE", "shop.pem", "holds no key", "name a file in PEM"),
        ("SSL_CERTFILE", "garbage", "holds no certificate", "name a file in PEM"),
        ("SSL_CERTFILE", "shop.key", "holds no certificate", "name a file in PEM"),
        ("SSL_CAFILE", "garbage", "holds no certificate", "name a file in PEM"),
        ("SSL_CAFILE", "shop.key", "holds no certificate", "name a file in PEM"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_setting(
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    name: str,
    cause: str,
    cure: str,
) -> None:
    monkeypatch.setenv("CLICKWARDEN_SECURITY_PROTOCOL", "SSL")
    right = {"SSL_CAFILE": "ca.pem", "SSL_CERTFILE": "shop.pem", "SSL_KEYFILE": "shop.key"}
    for each, file in (right | {setting: name}).items():
        monkeypatch.setenv(PREFIX + each, str(certificates[file]))
    with pytest.raises(SettingsError) as refused:
        Settings.load()
    said = str(refused.value)
    assert said.startswith(f"{PREFIX}{setting}={certificates[name]}: "), said
    assert cause in said
    assert cure in said
    assert "PRIVATE KEY-----\n" not in said
    assert "\n" not in said


def test_a_key_needs_its_certificate(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKWARDEN_SSL_KEYFILE", str(certificates["shop.key"]))
    with pytest.raises(SettingsError, match="is of no use without the certificate; set CLICKWARDEN_SSL_CERT"):
        Settings.load()


async def test_what_is_renewed_on_disk_is_used_by_the_next_connection(
    certificates: Certificates, tmp_path: Path
) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates["ca.pem"])
    server.load_cert_chain(certificates["broker.pem"], certificates["broker.key"])
    server.verify_mode = ssl.CERT_REQUIRED
    seen: list[str] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (((_, name),),) = writer.get_extra_info("peercert")["subject"]
        seen.append(name)
        writer.close()

    def install(name: str, *kinds: str) -> None:
        for kind in kinds:
            shutil.copy(certificates[f"{name}.{kind}"], tmp_path / f"new.{kind}")
            os.replace(tmp_path / f"new.{kind}", tmp_path / f"shop.{kind}")

    install("shop", "pem", "key")
    context = RenewedContext.of(Files(certificates["ca.pem"], tmp_path / "shop.pem", tmp_path / "shop.key"))
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server) as listener:
        port = listener.sockets[0].getsockname()[1]

        async def connect() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

        await connect()
        certificates.issue("renewed", "DNS:shop")
        install("renewed", "pem")  # the key is not there yet
        await connect()
        install("renewed", "key")
        await connect()
    assert seen == ["shop", "shop", "renewed"]
