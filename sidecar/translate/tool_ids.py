"""Ids of tool calls, within each API's length and alphabet. Pure, and without state: every pod maps
an id alike.

An id that fits goes as it is. Another one is written in an alphabet that all APIs take, and read
back when the caller sends it again. One that is too long even for that becomes its hash: the
request's history then carries the hash in call and result alike, which is all that a provider
compares.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

import msgspec

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName

_ENCODED: Final = "cx_"
"""Begins an id that is the base64 of another one, in the alphabet of URLs and without padding."""
_HASHED: Final = "ch_"
"""Begins an id that is the hash of another one, which cannot be read back."""
_HASH_CHARS: Final = 32
"""Of a hash in hexadecimal: 128 bits."""
_NINE: Final = 9
_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class IdRules(msgspec.Struct, frozen=True):
    """What an id must look like."""

    pattern: re.Pattern[str]
    max_chars: int


_ANY: Final = re.compile(r"(?s).+")
_RULES: Final = {
    # OpenAI refuses longer ones: "Expected a string with maximum length 40" and 64.
    CHAT: IdRules(_ANY, 40),
    RESPONSES: IdRules(_ANY, 64),
    # Anthropic's refusals name this pattern and no length.
    MESSAGES: IdRules(re.compile(r"[a-zA-Z0-9_-]+"), 256),
}
"""What a provider of OpenAI's own, or of Anthropic's, takes."""
_LENIENT: Final = IdRules(_ANY, 256)
"""Servers that speak chat and made longer ids themselves, such as vLLM's, take them back."""
_MISTRAL: Final = IdRules(re.compile(r"[a-zA-Z0-9]{9}"), _NINE)
"""Source: "must be a-z, A-Z, 0-9, with a length of 9"."""
_OPENAI_FAMILIES: Final = ("openai", "azure_openai", "chatgpt")


def for_caller(call_id: str, source: DialectName) -> str:
    """Return a provider's id as the caller's API takes it, also if a provider of that API is sent
    it later.
    """
    is_ours = call_id.startswith(_ENCODED)  # another sidecar's: read back there, not here
    return _fitted(call_id, _RULES[source], must_encode=is_ours)


def for_provider(call_id: str, target: DialectName, family: str) -> str:
    """Return an id of the request's history as a provider takes it: the one that it made itself,
    where `for_caller` encoded that.
    """
    rules = _RULES[target]
    if target == CHAT and family not in _OPENAI_FAMILIES:
        rules = _MISTRAL if family == "mistral" else _LENIENT
    return _fitted(_decoded(call_id), rules, must_encode=False)


def made_up(request_id: str, part: int) -> str:
    """Return an id for a call to which the provider gave none, as some servers do. No other call of
    the conversation has it, since no other request has this id.
    """
    return _hashed(f"{request_id}/{part}")


def _fitted(call_id: str, rules: IdRules, *, must_encode: bool) -> str:
    if not must_encode and _fits(call_id, rules):
        return call_id
    encoded = _encoded(call_id)
    if _fits(encoded, rules):
        return encoded
    hashed = _hashed(call_id)
    return hashed if _fits(hashed, rules) else _nine_letters(call_id)


def _fits(call_id: str, rules: IdRules) -> bool:
    return len(call_id) <= rules.max_chars and rules.pattern.fullmatch(call_id) is not None


def _encoded(call_id: str) -> str:
    return _ENCODED + base64.urlsafe_b64encode(_bytes(call_id)).rstrip(b"=").decode()


def _decoded(call_id: str) -> str:
    """Return the id that was encoded; the same id where none was."""
    if not call_id.startswith(_ENCODED):
        return call_id
    inside = call_id[len(_ENCODED) :]
    try:
        decoded = base64.urlsafe_b64decode(inside + "=" * (-len(inside) % 4)).decode()
    except ValueError:
        return call_id
    return decoded if decoded and _encoded(decoded) == call_id else call_id


def _hashed(call_id: str) -> str:
    return _HASHED + hashlib.sha256(_bytes(call_id)).hexdigest()[:_HASH_CHARS]


def _nine_letters(call_id: str) -> str:
    """Return a hash of nine letters and digits: 53 bits."""
    number = int.from_bytes(hashlib.sha256(_bytes(call_id)).digest()[:8])
    letters = ""
    for _ in range(_NINE):
        number, digit = divmod(number, len(_LETTERS))
        letters += _LETTERS[digit]
    return letters


def _bytes(call_id: str) -> bytes:
    return call_id.encode("utf-8", "replace")
