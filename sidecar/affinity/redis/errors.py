"""What an error reply of Redis says of the server, and of who asked it.

redis-py takes the code off an error that it has a class for; Redis 6.2 wraps what a script ran into
in an error of its own. So the class tells in some cases, and only the text in others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    InvalidResponse,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from sidecar.http1.cause import network_cause

_UNFIT: Final = (BusyLoadingError, MasterDownError, RedisConnectionError)
_REFUSING: Final = (OutOfMemoryError, ReadOnlyError)
_REFUSAL_WORDS: Final = ("OOM", "READONLY", "MISCONF", "NOREPLICAS")
_PHRASES: Final = (
    (AuthenticationError, "wrong password"),
    (BusyLoadingError, "it is loading its data"),
    (MasterDownError, "its master is down"),
    (InvalidResponse, "a reply that is not Redis's"),
    ((TimeoutError, RedisTimeoutError), "no reply in time"),
)
_IN_PLAIN: Final = "; where it speaks no TLS, the URL begins with redis://"
"""A Redis server without TLS waits for the end of the line that a TLS greeting seems to begin."""
_ASKING: Final = re.compile(r"required|already authenticated")
"""Of a server that wants a password and was given none: to a command, and to HELLO."""
_BEHIND_WORDS: Final = re.compile(r"with args|,? script: ")
_FENCED_WORDS: Final = ("The user executing the script", "ACL failure in script")


def words_of(error: Exception, *, is_tls: bool = False) -> str:
    """What a log may say of an error: of an error reply its words, without the arguments that some
    servers repeat, a password among them, and the name of a script; of anything else a phrase of
    our own, since an address may be in it.
    """
    if isinstance(error, ResponseError):
        return f"{type(error).__name__}: {_BEHIND_WORDS.split(str(error), maxsplit=1)[0][:100]}"
    for kinds, phrase in _PHRASES:
        if isinstance(error, kinds):
            is_asked = kinds is AuthenticationError and _ASKING.search(str(error)) is not None
            is_silent = is_tls and isinstance(error, TimeoutError | RedisTimeoutError)
            said = "it asks for a password" if is_asked else phrase
            return said + (_IN_PLAIN if is_silent else "")
    if "closed" in str(error):
        return "connection closed by it; where it speaks TLS, the URL begins with rediss://"
    return network_cause(error) or "the connection failed"


def knows_no_resp3(error: Exception) -> bool:
    """Whether somebody before Redis, a proxy for example, has no HELLO, or not this one."""
    text = str(error)
    return isinstance(error, ResponseError) and (
        "NOPROTO" in text
        or "unsupported protocol" in text
        or ("unknown command" in text and "HELLO" in text)
    )


def is_unfit(error: Exception) -> bool:
    """Whether a server is not, or not yet, the one to talk to."""
    return isinstance(error, _UNFIT)


def is_read_only(error: ResponseError) -> bool:
    """Whether a write was refused since the server is a replica."""
    return isinstance(error, ReadOnlyError) or "READONLY" in str(error)


def refuses_writes(error: ResponseError) -> bool:
    """Whether a server is full, a replica, or cannot persist: reads are as good as ever."""
    return isinstance(error, _REFUSING) or any(word in str(error) for word in _REFUSAL_WORDS)


def is_forbidden(error: ResponseError) -> bool:
    """Whether this user may not do this, or not to this key; that says nothing of other keys."""
    return isinstance(error, NoPermissionError) or any(word in str(error) for word in _FENCED_WORDS)


def refusal_among(replies: Iterable[object]) -> ResponseError | None:
    """Return the first error among the replies to reads, or None. A key that holds no string
    (WRONGTYPE) is no error here: it holds a value that nobody can read.
    """
    for reply in replies:
        if isinstance(reply, ResponseError) and not str(reply).startswith("WRONGTYPE"):
            return reply
    return None
