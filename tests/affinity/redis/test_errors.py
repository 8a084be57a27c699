"""What the log says of Redis's errors."""

from __future__ import annotations

import pytest
from redis.exceptions import AuthenticationError, OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from sidecar.affinity.redis.errors import words_of


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
        (RedisConnectionError("Error 111 connecting to secret-host:6379"), "ConnectionError"),
        (AuthenticationError("invalid username-password pair"), "AuthenticationError"),
    ],
)
def test_an_errors_words_without_what_nobody_should_read(error, expected):
    """No password that a server repeats, no address, no name of a script."""
    assert expected == words_of(error)
