"""What was learnt of a shared store by an operator who asked whether it can be used."""

from __future__ import annotations

import msgspec

from sidecar.http1.certificate import TlsFacts


class StoreExamination(msgspec.Struct, frozen=True):
    """A shared store, as one connection saw it."""

    place: str
    """``host:port``."""
    is_tls: bool
    error: Exception | None = None
    """Why there is no connection; None where there is one."""
    cause: str = ""
    """The same as a phrase."""
    is_login_refused: bool = False
    """Whether user or password are why."""
    has_login: bool = False
    """Whether a password is configured."""
    tls: TlsFacts | None = None
    version: str | None = None
    """Of the server; None where it does not say."""
    reply_ms: float | None = None
    """Median of some replies."""
    slowest_ms: float | None = None
    tracking_cause: str = ""
    """Why the server tells of no changes; empty where it does."""
    missing_rights: tuple[str, ...] = ()
    """Commands that the user may not run, as an ACL names them."""
    is_key_forbidden: bool = False
    """Whether the user may not touch a key of the tenant that was tried."""
    tried_key: str = ""
    write_cause: str = ""
    """Why the server takes no writes; empty where it does."""
    eviction_policy: str | None = None
    """What the server drops when its memory is full; None where it does not say."""
    max_memory_bytes: int | None = None
    """0: no limit."""
