"""Tokens for SASL's OAUTHBEARER (RFC 7628), of an OAuth 2.0 server."""

import asyncio
import json
import threading
from base64 import b64encode
from http import HTTPStatus
from http.client import HTTPException
from time import monotonic
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from aiokafka.abc import AbstractTokenProvider

#: Who takes longer to answer is taken for away, seconds.
PATIENCE = 3.0
#: Part of its life after which a token is replaced.
WORN = 0.8
#: Answers after which to ask again is of use.
LATER = HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS


class TokenError(OSError):
    """There is no token; to aiokafka, which tries again, a connection that failed.

    Attributes:
        refused: whether the server has said so, so that trying again is of no use.
    """

    def __init__(self, why: str, *, refused: bool) -> None:
        super().__init__(why)
        self.refused = refused


class Tokens(AbstractTokenProvider):  # type: ignore[misc]
    """Tokens of one client, each used for as long as it is good (RFC 6749, client credentials).

    Of any thread and event loop: those who connect at once share a token.

    Args:
        url: the token endpoint.
        client: its id.
        secret: its secret, sent as RFC 6749 2.3.1 has it (Basic).
    """

    def __init__(self, url: str, client: str, secret: str) -> None:
        self._url = url
        self._authorization = b64encode(f"{quote(client, '')}:{quote(secret, '')}".encode()).decode()
        self._lock = threading.Lock()
        self._token = ""
        self._good_until = 0.0

    async def token(self) -> str:
        """A token that is good.

        Raises:
            TokenError: there is none.
        """
        return await asyncio.to_thread(self._good)

    def _good(self) -> str:
        with self._lock:
            if monotonic() >= self._good_until:
                asked = monotonic()
                self._token, seconds = self._fetch()
                self._good_until = asked + WORN * seconds
            return self._token

    def _fetch(self) -> tuple[str, float]:
        headers = {"Authorization": f"Basic {self._authorization}", "Accept": "application/json"}
        request = Request(self._url, b"grant_type=client_credentials", headers)
        try:
            with urlopen(request, timeout=PATIENCE) as response:
                answer = json.load(response)
            return str(answer["access_token"]), float(answer.get("expires_in", 0))
        except HTTPError as error:
            with error:
                refused = error.code < HTTPStatus.INTERNAL_SERVER_ERROR and error.code not in LATER
                raise TokenError(f"{error.code} {error.reason}", refused=refused) from None
        except (OSError, HTTPException) as error:
            raise TokenError(str(getattr(error, "reason", error)), refused=False) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise TokenError("its answer holds no access_token", refused=True) from None
