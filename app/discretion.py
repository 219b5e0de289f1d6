"""What no log is to hold, at any level."""

import logging

#: The requests, and answers, that hold a password, a token, or what one can be guessed from.
SASL = "SaslAuthenticate"


class Discretion(logging.Filter):
    """Lets no record pass in which aiokafka would show how the worker proves who it is.

    At level debug it logs every request as it is sent; with PLAIN, one of them
    is the password.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        shown = record.args if isinstance(record.args, tuple) else ()
        return not any(type(value).__name__.startswith(SASL) for value in shown)
