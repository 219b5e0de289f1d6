"""Why a request over HTTP was not answered, in words."""

import os

import aiohttp


def why(error: Exception) -> str:
    """What went wrong, of what aiohttp raises before there is an answer, or while it comes.

    >>> why(TimeoutError())
    'no answer in time'
    """
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"there is no host {error.host}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the certificate of {error.host} is not to be trusted: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        return f"{error.host}:{error.port} cannot be reached: {os.strerror(error.os_error.errno).lower()}"
    return str(error) or type(error).__name__
