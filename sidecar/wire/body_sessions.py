"""The session that a request body names, for calls whose headers name none.

Several agents say in a body what others say in a header. What they say is known by its form: other
apps put constants into the same members, to group similar requests, and would have all their users
in one session.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, final

import msgspec

from sidecar.domain.call import BodyFacts
from sidecar.domain.errors import InvalidBody
from sidecar.wire.request_headers import MAX_ID_BYTES

KNOWN_CLIENTS: Final = "known_clients"
"""Among the keys of `BodySessions`: ``metadata.user_id`` and ``prompt_cache_key``, where they have
the form of an agent that is known here.
"""

_USER: Final = "metadata.user_id"
_CACHE_KEY: Final = "prompt_cache_key"
_MAX_VALUE_BYTES: Final = 64 * 1024
"""A longer member is not decoded. What agents put there has a few hundred bytes."""
_UUID: Final = (
    r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[1-8][0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}"
)
"""Version and variant as RFC 9562 has them, which nil and most made-up ones have not."""
_IS_UUID: Final = re.compile(_UUID)
_CLAUDE_CODE: Final = re.compile(rf"user_[0-9a-f]{{64}}_account_(?:{_UUID})?_session_({_UUID})")
"""Claude Code's older form; the account is empty where an API key is used."""
_CACHE_KEYS: Final = (
    # Codex and pi send a UUID. Copilot in VS Code appends the model's family, which is no part of
    # the session: that goes on where the user picks another model. Copilot's CLI sends 32 hex
    # digits, as apps do that hash their instructions: not known by its form.
    re.compile(rf"({_UUID})(?::[!-~]{{1,64}})?"),
    # opencode: the time in hex, and random letters.
    re.compile(r"(ses_[0-9a-f]{12}[0-9A-Za-z]{14})"),
)
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text: Final = msgspec.json.Decoder(str).decode

_Values = dict[str, bytes]
"""Top-level member -> the JSON of its value."""


@final
class BodySessions:
    """Reads sessions from bodies, as the config's ``routing.session_body_keys`` says."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Args: ``keys`` are tried in order: `KNOWN_CLIENTS`, or the name of a top-level member, or
        of a member of one (``metadata.conversation``), of which any text counts.
        """
        self._keys: Final = tuple(keys)
        named = [*self._keys, *((_USER, _CACHE_KEY) if KNOWN_CLIENTS in self._keys else ())]
        self.members: Final = frozenset(
            [name.partition(".")[0].encode() for name in named if name != KNOWN_CLIENTS]
        )
        """The top-level members that `Dialect.peek` has to find."""

    def session_id_of(self, body: bytes, facts: BodyFacts) -> str | None:
        """Return the session that a body names; None where it names none.

        Args: ``facts`` are what `Dialect.peek` found of `members` in this very body.
        Raises: InvalidBody where a member that the config names itself is too long for a name.
        """
        values = {
            name.decode(): body[start : min(end, start + _MAX_VALUE_BYTES + 1)]
            for name, start, end in facts.session_spans
        }
        for key in self._keys:
            found = _known_client(values) if key == KNOWN_CLIENTS else _own_choice(key, values)
            if found is not None:
                return found
        return None


def _known_client(values: _Values) -> str | None:
    """Return the session that an agent names in its own form."""
    user, cache_key = _value_of(_USER, values), _value_of(_CACHE_KEY, values)
    found = None if user is None else _CLAUDE_CODE.fullmatch(user) or _of_json(user)
    if cache_key is not None:
        for form in _CACHE_KEYS:
            found = found or form.fullmatch(cache_key)
    return None if found is None else found[found.lastindex or 0]


def _of_json(user: str) -> re.Match[str] | None:
    """Match the session in Claude Code's newer form: a JSON object, as text, of the ids of device,
    account and session.
    """
    try:
        ids = _members(user.encode())
        return _IS_UUID.fullmatch(_text(ids["session_id"])) if "device_id" in ids else None
    except (ValueError, KeyError, RecursionError):
        return None


def _own_choice(key: str, values: _Values) -> str | None:
    """Return the text of a member, trimmed. Raises: InvalidBody where it is too long."""
    is_long = len(values.get(key.partition(".")[0], b"")) > _MAX_VALUE_BYTES
    text = None if is_long else _value_of(key, values)
    if is_long or (text is not None and len(text.encode()) > MAX_ID_BYTES):
        raise InvalidBody(
            f"{key!r} names the session and is longer than {MAX_ID_BYTES} bytes", param=key
        )
    return (text or "").strip(" \t") or None


def _value_of(key: str, values: _Values) -> str | None:
    """Return the text of a member; None where it is missing, no text, or not worth decoding."""
    name, _, inner = key.partition(".")
    value = values.get(name, b"")
    if not 0 < len(value) <= _MAX_VALUE_BYTES:
        return None
    try:
        # Compiled code takes a `msgspec.Raw` for no bytes.
        return _text(bytes(_members(value)[inner]) if inner else value)
    except (ValueError, KeyError, RecursionError):
        return None
