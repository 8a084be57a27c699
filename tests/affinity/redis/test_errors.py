"""What the log says of Redis's errors."""

from __future__ import annotations

import errno
import socket

import pytest
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    InvalidResponse,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sidecar.affinity.redis.errors import words_of


def _behind(cause):
    """As redis-py wraps what the network says."""
    error = RedisConnectionError("Error connecting to secret-host:6379")
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            ReadOnlyError(
                "You can't write against a read only replica. script: f26, on @user_script:9."
            ),
            "ReadOnlyError: You can't write against a read only replica.",
        ),
        (
            OutOfMemoryError("command not allowed, script: c1, on @u"),
            "OutOfMemoryError: command not allowed",
        ),
        (
            ResponseError(
                "unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'me' 'pass'"
            ),
            "ResponseError: unknown command 'HELLO', ",
        ),
        (ResponseError("x" * 200), "ResponseError: " + "x" * 100),
        (RedisConnectionError("Error 111 connecting to secret-host:6379"), "the connection failed"),
        (_behind(ConnectionRefusedError(errno.ECONNREFUSED, "secret-host")), "connection refused"),
        (_behind(socket.gaierror(socket.EAI_NONAME, "secret-host")), "name not found"),
        (AuthenticationError("invalid username-password pair"), "wrong password"),
        (AuthenticationError("Authentication required."), "it asks for a password"),
        (
            AuthenticationError("HELLO must be called with the client already authenticated"),
            "it asks for a password",
        ),
        (BusyLoadingError("x"), "it is loading its data"),
        (TimeoutError(), "no reply in time"),
        (InvalidResponse("Protocol error, got 'H'"), "a reply that is not Redis's"),
        (
            RedisConnectionError("Connection closed by server."),
            "connection closed by it; where it speaks TLS, the URL begins with rediss://",
        ),
    ],
)
def test_an_errors_words_without_what_nobody_should_read(error, expected):
    """No password that a server repeats, no address, no name of a script."""
    assert expected == words_of(error)


def test_silence_where_tls_is_spoken_may_be_a_server_without_tls():
    """It waits for the end of the line that a TLS greeting seems to begin."""
    expected = "no reply in time; where it speaks no TLS, the URL begins with redis://"

    assert expected == words_of(RedisTimeoutError("x"), is_tls=True)
    assert "wrong password" == words_of(AuthenticationError("invalid"), is_tls=True)
