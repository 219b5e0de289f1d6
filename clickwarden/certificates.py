"""Certificates for talking to Kafka: read from their files, and again when those are renewed."""

import logging
import ssl
from pathlib import Path
from typing import Any, NamedTuple, Self

from clickwarden.errors import SettingsError

log = logging.getLogger(__name__)


class Files(NamedTuple):
    """Where they are (PEM); None where there is none.

    Attributes:
        authorities: certificates of the authorities that certify Kafka; None: those the machine knows.
        certificate: our own, with the chain up to an authority that Kafka knows.
        key: of our own; None where it is in the file of the certificate.
    """

    authorities: Path | None
    certificate: Path | None
    key: Path | None

    def context(self) -> ssl.SSLContext:
        """A context with what the files hold now.

        Raises:
            SettingsError: they cannot be used; the message begins with the name of the field of Settings.
        """
        context = _trusting("ssl_cafile", self.authorities)
        if self.certificate is not None:
            # OpenSSL does not say which of the two is wrong.
            _trusting("ssl_certfile", self.certificate)
            self._certify(context, self.certificate)
        return context

    def _certify(self, context: ssl.SSLContext, certificate: Path) -> None:
        asked = False

        def password() -> str:
            nonlocal asked
            asked = True
            return ""  # else OpenSSL asks for it at the terminal

        try:
            context.load_cert_chain(certificate, self.key, password)
        except OSError as error:
            where = "ssl_certfile" if self.key is None else "ssl_keyfile"
            if asked:
                raise SettingsError(
                    f"{where}: the key is encrypted; name one that is not, readable for this user alone: "
                    "openssl pkey -in KEY -out NEW"
                ) from None
            if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
                raise SettingsError(
                    f"{where}: the key is not that of the certificate {certificate}; name the one that it "
                    "was made for"
                ) from None
            raise SettingsError(
                f"{where}: holds no key that can be read ({_reason(error)}); name a file in PEM, "
                "'-----BEGIN PRIVATE KEY-----'"
            ) from None

    @property
    def state(self) -> tuple[tuple[int, int], ...]:
        """What changes when a file is written or replaced."""
        found = (path.stat() for path in self if path is not None)
        return tuple((stat.st_mtime_ns, stat.st_ino) for stat in found)


def _trusting(setting: str, file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=file)
    except OSError as error:
        raise SettingsError(
            f"{setting}: holds no certificate that can be read ({_reason(error)}); name a file in PEM, "
            "'-----BEGIN CERTIFICATE-----'"
        ) from None


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)


class RenewedContext(ssl.SSLContext):
    """A context that each new connection finds with what the files hold by then."""

    _files: Files
    _state: tuple[tuple[int, int], ...]
    _current: ssl.SSLContext

    @classmethod
    def of(cls, files: Files) -> Self:
        """One of these files.

        Raises:
            SettingsError: they cannot be used.
        """
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context._files, context._state, context._current = files, files.state, files.context()
        return context

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Begin a connection, as an event loop does."""
        self._renew()
        return self._current.wrap_bio(*args, **kwargs)

    def _renew(self) -> None:
        try:
            state = self._files.state
            if state != self._state:
                self._state = state
                self._current = self._files.context()
                log.info("Certificates for Kafka were renewed")
        except (OSError, SettingsError) as error:
            # Perhaps half of them is written; each file that is changes the state once more.
            log.warning("Certificates for Kafka were changed and cannot be used, the old ones are: %s", error)
