"""Looks at a Redis server as the store would use it: for an operator who asks whether it will do.

It connects as `link` does, by the same maker of connections, and runs each command that the store
uses on a key of its own, which it deletes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import statistics
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import redis.asyncio as redis_asyncio
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from sidecar.affinity.examination import StoreExamination
from sidecar.affinity.redis.connect import MakeConnection, abort, on_push, transport_of
from sidecar.affinity.redis.errors import (
    is_forbidden,
    knows_no_resp3,
    refuses_writes,
    words_of,
)
from sidecar.affinity.redis.pipeline import Command
from sidecar.affinity.redis.scripts import COMPARE_AND_SET, REFRESH, SHAS
from sidecar.http1.certificate import tls_facts
from sidecar.runtime.timers import Timeout

_RESP3, _RESP2 = 3, 2
_PINGS: Final = 7
_LIVES_MS: Final = 5000
"""The key that is tried is gone by then, also where it could not be deleted."""
_PUSH_S: Final = 1.0
_KEY_WORDS: Final = re.compile(r"\bkeys?\b")
_MEMORY: Final = re.compile(r"^(maxmemory|maxmemory_policy):(\S+)", re.MULTILINE)


class RedisExaminer:
    """Examines the server that a config names. ``key`` is a key of the kind that it will hold."""

    def __init__(
        self,
        make_connection: MakeConnection,
        key: str,
        monotonic_s: Callable[[], float],
        *,
        tracks: bool,
    ) -> None:
        self._make = make_connection
        self._key = key
        self._monotonic_s = monotonic_s
        self._tracks = tracks

    async def examine(self, timeout_s: float) -> StoreExamination:
        """Return what could be learnt within ``timeout_s``. Raises: nothing."""
        connection = await self._make(_RESP3)
        found = self._before(connection)
        try:
            async with Timeout(timeout_s):
                connection, found = await self._connected(connection, found)
                return await self._examined(connection, found)
        except (RedisError, OSError, ValueError) as error:
            return _failed(found, error)
        finally:
            abort(connection)
            with contextlib.suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)

    def _before(self, connection: redis_asyncio.Connection) -> StoreExamination:
        return StoreExamination(
            place=f"{connection.host}:{connection.port}",
            is_tls=isinstance(connection, redis_asyncio.connection.SSLConnection),
            has_login=connection.password is not None,
            tried_key=self._key,
        )

    async def _connected(
        self, connection: redis_asyncio.Connection, found: StoreExamination
    ) -> tuple[redis_asyncio.Connection, StoreExamination]:
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except (RedisError, OSError, ValueError) as error:
            if not knows_no_resp3(error):
                raise
            connection = await self._make(_RESP2)
            await connection.connect()  # type: ignore[no-untyped-call]
            found = msgspec.structs.replace(found, tracking_cause="it speaks no RESP3")
        return connection, msgspec.structs.replace(found, tls=tls_facts(transport_of(connection)))

    async def _examined(
        self, connection: redis_asyncio.Connection, found: StoreExamination
    ) -> StoreExamination:
        took_ms = []
        for _ in range(_PINGS):
            began_s = self._monotonic_s()
            await _ask(connection, "PING")
            took_ms.append((self._monotonic_s() - began_s) * 1e3)
        found = msgspec.structs.replace(
            found,
            version=await _version(connection),
            reply_ms=round(statistics.median(took_ms), 2),
            slowest_ms=round(max(took_ms), 2),
        )
        found = msgspec.structs.replace(found, **await _memory(connection))
        found = await self._try_rights(connection, found)
        if self._tracks and not found.tracking_cause:
            found = msgspec.structs.replace(
                found, tracking_cause=await self._why_untracked(connection)
            )
        return found

    async def _try_rights(
        self, connection: redis_asyncio.Connection, found: StoreExamination
    ) -> StoreExamination:
        """Run each command that the store uses, once."""
        missing, is_key_forbidden, write_cause = [], False, ""
        for right, command in _commands(self._key):
            reply = await _ask(connection, *command)
            if not isinstance(reply, ResponseError):
                continue
            if not is_forbidden(reply):
                if refuses_writes(reply):
                    write_cause = write_cause or words_of(reply)
            elif _KEY_WORDS.search(str(reply)) and right != "ping":
                is_key_forbidden = True
            elif right not in missing:
                missing.append(right)
        return msgspec.structs.replace(
            found,
            missing_rights=tuple(missing),
            is_key_forbidden=is_key_forbidden,
            write_cause=write_cause,
        )

    async def _why_untracked(self, connection: redis_asyncio.Connection) -> str:
        """Return why this connection is not told when another one changes what it has read; empty
        where it is told.
        """
        is_told = asyncio.Event()

        async def pushed(message: list[Any], **_: Any) -> None:  # noqa: ANN401 - redis-py's own hook
            if message[0] in (b"invalidate", "invalidate"):
                is_told.set()

        on_push(connection, pushed)
        refusal = await _ask(connection, "CLIENT", "TRACKING", "ON", "NOLOOP")
        if isinstance(refusal, ResponseError):
            return "CLIENT TRACKING is " + ("forbidden" if is_forbidden(refusal) else "refused")
        if isinstance(await _ask(connection, "GETRANGE", self._key, 0, 0), ResponseError):
            return ""  # the key is not this user's: nothing can be tried
        other = await self._make(_RESP3)
        try:
            await other.connect()  # type: ignore[no-untyped-call]
            if isinstance(await _ask(other, "SET", self._key, "%", "PX", _LIVES_MS), ResponseError):
                return ""
            async with Timeout(_PUSH_S):
                while not is_told.is_set():
                    await _ask(connection, "PING")
        except TimeoutError:
            return "it sends no invalidations"
        finally:
            await _ask(other, "DEL", self._key)
            await other.disconnect(nowait=True)
        return ""


def _commands(key: str) -> Sequence[tuple[str, Command]]:
    """Return what the store runs, each with the right that it needs, in an order that leaves
    nothing behind.
    """
    return (
        ("ping", ("PING",)),
        *(("script|load", ("SCRIPT", "LOAD", script)) for script in SHAS),
        ("getrange", ("GETRANGE", key, 0, 0)),
        ("pttl", ("PTTL", key)),
        ("type", ("TYPE", key)),
        ("set", ("SET", key, "%", "PX", _LIVES_MS)),
        ("pexpire", ("PEXPIRE", key, _LIVES_MS)),
        ("evalsha", ("EVALSHA", SHAS[REFRESH], 1, key, _LIVES_MS)),
        ("eval", ("EVAL", COMPARE_AND_SET, 1, key, "%", "", 0)),
        ("del", ("DEL", key)),
    )


async def _version(connection: redis_asyncio.Connection) -> str | None:
    reply = await _ask(connection, "HELLO")
    pairs = reply if isinstance(reply, dict) else {}
    if isinstance(reply, list):
        pairs = dict(zip(reply[::2], reply[1::2], strict=False))
    found = pairs.get(b"version") or pairs.get("version")
    text = found.decode("latin-1") if isinstance(found, bytes) else found
    return text if isinstance(text, str) and re.fullmatch(r"[0-9.]{1,20}", text) else None


async def _memory(connection: redis_asyncio.Connection) -> dict[str, Any]:
    reply = await _ask(connection, "INFO", "memory")
    text = reply.decode("latin-1") if isinstance(reply, bytes) else str(reply)
    found = dict(_MEMORY.findall(text))
    limit = found.get("maxmemory", "")
    return {
        "eviction_policy": found.get("maxmemory_policy"),
        "max_memory_bytes": int(limit) if limit.isdecimal() else None,
    }


def _failed(found: StoreExamination, error: Exception) -> StoreExamination:
    is_login = isinstance(error, AuthenticationError) or "WRONGPASS" in str(error)
    return msgspec.structs.replace(
        found, error=error, cause=words_of(error, is_tls=found.is_tls), is_login_refused=is_login
    )


async def _ask(connection: redis_asyncio.Connection, *command: str | bytes | int) -> object:
    """Send one command; return its reply, also where that is an error."""
    await connection.send_command(*command)
    try:
        reply: object = await connection.read_response(disable_decoding=True, push_request=False)
    except ResponseError as error:
        return error
    return reply
