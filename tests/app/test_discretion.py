"""What a log at level debug does not hold."""

import logging
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.admin import ApiVersionRequest, SaslAuthenticateRequest

from app.discretion import Discretion


def test_a_request_with_a_password_is_not_logged_and_the_others_are(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(Discretion())
    caplog.set_level(logging.DEBUG, "aiokafka")
    connection = SimpleNamespace(
        _writer=Mock(),
        _versions={36: (0, 1), 18: (0, 0)},
        _host="kafka",
        _port=9092,
        _client_id="me",
        _next_correlation_id=lambda: 1,
    )
    for request in SaslAuthenticateRequest(b"\0me\0hush"), ApiVersionRequest():
        AIOKafkaConnection.send(connection, request, expect_response=False)
    assert "hush" not in caplog.text
    assert "ApiVersionRequest" in caplog.text
