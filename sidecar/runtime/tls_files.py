"""A client's TLS context that follows its files: certificates are rotated in a running process."""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from sidecar.domain.log_fields import event_fields
from sidecar.runtime.daemon_thread import run_in_daemon_thread
from sidecar.runtime.file_watch import FileReader
from sidecar.runtime.single_flight import TimedFlight

WAIT_S: Final = 2.0
"""How long a look is waited for, from its beginning on: a disk may be gone. That is as long as
calls wait for a connection.
"""
LOOKS: Final = 5
"""At files that have changed: they may be in the middle of being written."""
PAUSE_S: Final = 0.01

_log: Final = logging.getLogger("sidecar.tls")


class FilesState(msgspec.Struct, frozen=True):
    """How some files are at one moment."""

    digests: Mapping[Path, bytes]
    """As `FileReader.digests` has them."""
    fault: str = ""
    """Why one of them cannot be read; empty where all can be."""


class RenewableTls:
    """One context, made anew when its files hold something else. Where they cannot be used then,
    such as a certificate whose key has not been written yet, the context before stays in use.
    """

    def __init__(
        self,
        make: Callable[[], ssl.SSLContext],
        files: Sequence[str],
        on_renewed: Callable[[ssl.SSLContext], None] | None = None,
    ) -> None:
        """Args: ``make`` loads ``files``; ``on_renewed`` is told of each further context."""
        self.context: ssl.SSLContext | None = None
        self._make = make
        self._files = tuple(files)
        self._on_renewed = on_renewed
        self._used: FilesState | None = None
        """The files that the context was made of."""
        self._known: FilesState | None = None
        """The files as they were found last."""
        self._looks: TimedFlight[str, None] = TimedFlight("look at tls files")

    def load(self) -> ssl.SSLContext:
        """Make the first context. Reads the disk.

        Raises: OSError (ssl.SSLError too) or ValueError where a file cannot be used.
        """
        state = state_of(self._files)
        context = self._make()
        self._use(context, state)
        return context

    async def renew(self) -> None:
        """Look whether the files hold something else, and make a context of that; where there is
        none yet, the first one. Waits at most `WAIT_S`. Raises: nothing.
        """
        context = self.context
        for _ in range(2 if self._files or context is None else 0):
            # Behind what another caller began to read, a file may have been written: once more.
            if await self._looks.wait_for("", self._look, WAIT_S) or self.context is not context:
                break

    async def aclose(self) -> None:
        """Cancel a look that is under way."""
        await self._looks.aclose()

    async def _look(self) -> None:
        state = await self._settled()
        if state is None:
            return
        fault, context = state.fault, None
        if not fault:
            try:
                context = await run_in_daemon_thread(self._make, name="load tls files")
            except (OSError, ValueError) as error:
                fault = why_unusable(error)
        self._known = state
        is_first, named = self.context is None, ", ".join(self._files)
        if context is not None:
            self._use(context, state)
            if not is_first:
                extra = event_fields("tls_files_renewed", files=list(self._files))
                _log.info("%s: changed, new connections use it", named, extra=extra)
        elif not is_first:
            extra = event_fields("tls_files_unusable", files=list(self._files), cause=fault)
            words = "%s: changed and cannot be used (%s), what was there before stays in use"
            _log.warning(words, named, fault, extra=extra)

    async def _settled(self) -> FilesState | None:
        """Return how the files are, once two looks agree, or at the last look; None where they hold
        what they held when they were looked at last, or what is in use.
        """
        seen: FilesState | None = None
        for look in range(LOOKS):
            if look:
                await asyncio.sleep(PAUSE_S)
            found = await run_in_daemon_thread(
                functools.partial(state_of, self._files), name="look at tls files"
            )
            if found == self._used and self.context is not None:
                self._known = found
            if found == self._known:
                return None
            if found == seen and not found.fault:
                break
            seen = found
        return seen

    def _use(self, context: ssl.SSLContext, state: FilesState) -> None:
        is_first = self.context is None
        self.context, self._known, self._used = context, state, state
        if not is_first and self._on_renewed is not None:
            self._on_renewed(context)


def state_of(files: Sequence[str]) -> FilesState:
    """Return how files are. Reads the disk; what is no regular file is not opened."""
    reader, fault = FileReader(), ""
    for file in files:
        try:
            reader.read(Path(file))
        except ValueError as error:
            fault = fault or str(error)
    return FilesState(reader.digests, fault)


def watched_files(
    ca_file: str | None, cert_file: str | None, key_file: str | None
) -> tuple[str, ...]:
    """Return the files of which a context is made: without ``ca_file`` OpenSSL's own, which
    ``SSL_CERT_FILE`` moves.
    """
    named = (ca_file or ssl.get_default_verify_paths().cafile, cert_file, key_file)
    return tuple(file for file in named if file is not None)


def why_unusable(error: Exception) -> str:
    """Return a phrase for why certificates or keys cannot be used; it quotes nothing of them."""
    return (
        getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
    )
