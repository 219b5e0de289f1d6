"""A Kafka that asks who one is, and denies what it was not told to allow."""

import asyncio
import json
import subprocess
import threading
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from clickwarden.errors import AccessError, BrokerError
from clickwarden.kafka.rights import Right, check
from clickwarden.sandbox.broker import Broker
from clickwarden.settings import Settings

JAAS = "org.apache.kafka.common.security"
PASSWORD = "the-right-password"
#: What no output may hold.
WRONG_PASSWORD = "a-wrong-password"
SECRETS = (PASSWORD, WRONG_PASSWORD, "BEGIN PRIVATE KEY")
SASL, CERTIFICATE, LOST = "SASL", "CERTIFICATE", "LOST"


class Certificates:
    """Of two authorities, one of which the broker knows; made by openssl in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for authority in ("ca", "stranger"):
            new = ("-x509", *_KEY, "-days", "2", "-subj", f"/CN={authority}")
            self._openssl("req", *new, "-keyout", f"{authority}.key", "-out", f"{authority}.pem")
        self.issue("broker", "IP:127.0.0.1")
        self.issue("shop", "DNS:shop")
        self.issue("intruder", "DNS:intruder", "stranger")
        self._openssl("x509", "-in", "ca.pem", "-signkey", "ca.key", "-days", "-1", "-out", "expired.pem")
        encrypted = ("-aes256", "-passout", "pass:secret")
        self._openssl("pkey", "-in", "shop.key", *encrypted, "-out", "encrypted.key")
        self["garbage"].write_text("no certificate\n")
        self["broker.store"].write_text(self["broker.key"].read_text() + self["broker.pem"].read_text())

    def __getitem__(self, name: str) -> Path:
        return self._folder / name

    def issue(self, name: str, alternative: str, authority: str = "ca", days: int = 2) -> None:
        """A certificate ``name.pem`` with its ``name.key``."""
        new = (*_KEY, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self._openssl("req", *new)
        self[f"{name}.ext"].write_text(f"subjectAltName={alternative}\n")
        by = ("-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial")
        signed = ("-days", str(days), "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        self._openssl("x509", "-req", "-in", f"{name}.csr", *by, *signed)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True)


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class SecuredKafka:
    """Its listeners are SASL (SASL_SSL), CERTIFICATE (SSL, of clients too), and PLAINTEXT for who may all.

    LOST sends its clients to where nobody listens.

    Attributes:
        admin: may all.
    """

    def __init__(self, broker: Broker, certificates: Certificates) -> None:
        self.certificates = certificates
        self._broker = broker
        self.lost = f"127.0.0.1:{broker.forwards(LOST)[1].target}"
        self.plaintext = broker.bootstrap
        self.sasl = broker.bootstrap_of(SASL)
        self.certificate = broker.bootstrap_of(CERTIFICATE)
        self.admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})

    def user(self, name: str, password: str = PASSWORD) -> dict[str, Any]:
        """Settings of a user of SCRAM-SHA-512, made or given this password here."""
        self.change_password(name, password)
        given = self.sasl_settings(name) | {"sasl_password": password}
        deadline = time.monotonic() + 10
        while not self._lets_in(Settings(_env_file=None, **given)):  # the broker learns of it a little later
            assert time.monotonic() < deadline
        return given

    def change_password(self, name: str, password: str) -> None:
        """Kafka learns of it a little later."""
        scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        alteration = UserScramCredentialUpsertion(name, scram, password.encode())
        for done in self.admin.alter_user_scram_credentials([alteration]).values():
            done.result()

    def _lets_in(self, settings: Settings) -> bool:
        try:
            asyncio.run(check(settings, []))
        except (AccessError, BrokerError):
            return False
        return True

    def restart(self) -> None:
        """Stop and start Kafka."""
        self._broker.stop()
        self._broker.start()

    def sasl_settings(self, name: str) -> dict[str, Any]:
        """How to talk to it by SASL."""
        return {
            "broker": f"kafka://{self.sasl}",
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_username": name,
            "sasl_password": PASSWORD,
            "ssl_cafile": self.certificates["ca.pem"],
        }

    def certificate_settings(self, name: str = "shop") -> dict[str, Any]:
        """How to talk to it with a client's certificate."""
        return {
            "broker": f"kafka://{self.certificate}",
            "security_protocol": "SSL",
            "ssl_cafile": self.certificates["ca.pem"],
            "ssl_certfile": self.certificates[f"{name}.pem"],
            "ssl_keyfile": self.certificates[f"{name}.key"],
        }

    def allow(self, principal: str, right: Right) -> None:
        """Give a right."""
        binding = _binding(AclBinding, principal, right)
        self.admin.create_acls([binding])[binding].result()

    def deny(self, principal: str, right: Right) -> None:
        """Take a right away again."""
        binding = _binding(AclBindingFilter, principal, right)
        (gone,) = (future.result() for future in self.admin.delete_acls([binding]).values())
        assert len(gone) == 1


def _binding(make: Any, principal: str, right: Right) -> Any:
    return make(
        ResourceType[right.kind.upper().replace("-", "_")],
        right.prefix or right.name,
        ResourcePatternType.PREFIXED if right.prefix else ResourcePatternType.LITERAL,
        f"User:{principal}",
        "*",
        AclOperation[right.operation.upper()],
        AclPermissionType.ALLOW,
    )


class _Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        good = b64encode(f"shop:{PASSWORD}".encode()).decode()
        if asked != b"grant_type=client_credentials" or self.headers["Authorization"] != f"Basic {good}":
            self.send_error(401)
            return
        now = int(time.time())
        life = -60 if self.path == "/expired" else 300
        claims = {"sub": "token", "iat": now - 60, "exp": now + life}
        parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
        token = ".".join([*(urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"access_token": token, "expires_in": life}).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def token_server() -> Iterator[str]:
    """An OAuth 2.0 server, whose one client is shop; its tokens are of the user token."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def secured_kafka(folder: Path) -> Iterator[SecuredKafka]:
    """One of them, for as long as it is needed."""
    certificates = Certificates(folder)
    own = "listener.name.sasl"
    properties = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": "User:ANONYMOUS",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": certificates["broker.store"],
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": certificates["ca.pem"],
        "listener.name.certificate.ssl.client.auth": "required",
        f"{own}.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN,OAUTHBEARER",
        f"{own}.scram-sha-512.sasl.jaas.config": f"{JAAS}.scram.ScramLoginModule required;",
        f"{own}.plain.sasl.jaas.config": f'{JAAS}.plain.PlainLoginModule required user_plain="{PASSWORD}";',
        f"{own}.oauthbearer.sasl.jaas.config": f"{JAAS}.oauthbearer.OAuthBearerLoginModule required "
        'unsecuredLoginStringClaim_sub="broker";',
    }
    listeners = {SASL: "SASL_SSL", CERTIFICATE: "SSL"}
    with Broker(
        folder / "kafka", port=0, proxied=[LOST], listeners=listeners, properties=properties
    ) as broker:
        yield SecuredKafka(broker, certificates)
