"""By what a provider's prompt cache knows a session: a name that says nothing of it. Pure."""

from __future__ import annotations

import hashlib
from typing import Final, final

from sidecar.domain.call import Call

_KEY_BYTES: Final = 32
_NAME_BYTES: Final = 16
_PURPOSE: Final = b"plano cache hint"


@final
class CacheKey:
    """Names sessions to the provider of one entry.

    The same in every pod, since it is made with the entry's key; another provider, which has
    another key, cannot tell that two names are of one session.
    """

    def __init__(self, access_key: str) -> None:
        secret = access_key.encode()
        key = hashlib.blake2b(secret, digest_size=_KEY_BYTES, person=_PURPOSE).digest()
        self._begun = hashlib.blake2b(key=key, digest_size=_NAME_BYTES, person=_PURPOSE)

    def of(self, call: Call) -> str:
        """Return the name of a call's session, or of its sub-agent: 32 hex digits."""
        made = self._begun.copy()
        tenant, session_id = call.tenant or "", call.session_id or ""
        text = f"{len(tenant)}:{tenant}{len(session_id)}:{session_id}{call.agent or ''}"
        made.update(text.encode("utf-8", "surrogatepass"))
        return made.hexdigest()
