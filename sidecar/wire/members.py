"""The top-level members of a JSON object, as raw bytes: msgspec checks the syntax and says how long
each value is.
"""

from __future__ import annotations

import functools
from collections.abc import ValuesView
from typing import Final

import msgspec

from sidecar.domain.errors import InvalidBody
from sidecar.wire.outline import MEMBERS_AT_MOST

_SMALL_BYTES: Final = 64 * 1024
"""Up to here members are counted after decoding, beyond it while decoding: 5 bytes of body can cost
150 of memory.
"""


class _TooManyMembers(Exception):
    """Ends a decode early."""


_Members = dict[functools.partial, msgspec.Raw]  # type: ignore[type-arg]
"""Top-level name -> the value's bytes. A name is a `functools.partial`: it is compared by identity,
so a repeated name keeps both values, and msgspec's two arguments make one without running Python.

The class itself and no subclass: mypyc cannot derive from it on Python 3.12 and later.
"""


class _Counted:
    """Decodes one body after another, each only up to `MEMBERS_AT_MOST`."""

    def __init__(self) -> None:
        self._left = 0
        self._decoder = msgspec.json.Decoder(_Members, dec_hook=self._make)

    def decode(self, body: bytes) -> _Members:
        """Raises: msgspec.DecodeError, RecursionError, _TooManyMembers."""
        self._left = MEMBERS_AT_MOST
        return self._decoder.decode(body)

    def _make(self, kind: type, name: object) -> functools.partial[object]:
        self._left -= 1
        if self._left < 0:
            raise _TooManyMembers
        return functools.partial(kind, name)


_members_decoder: Final = msgspec.json.Decoder(_Members, dec_hook=functools.partial)
_counted: Final = _Counted()


def top_level_values(body: bytes) -> ValuesView[msgspec.Raw]:
    """The top-level values in document order, repeated names included, each as long as it is in the
    body.

    Raises: InvalidBody.
    """
    try:
        try:
            members = _decode(body)
        except msgspec.DecodeError:
            members = _decode(same_lengths(body))
    except msgspec.ValidationError as error:
        raise InvalidBody("the body is not a JSON object") from error
    except msgspec.DecodeError as error:
        raise InvalidBody(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidBody("the body nests too deeply") from error
    except _TooManyMembers as error:
        raise InvalidBody(f"the body has more than {MEMBERS_AT_MOST} members") from error
    return members.values()


def same_lengths(text: bytes) -> bytes:
    """Return a JSON text with other characters for halves of some, every place in it unchanged.

    JavaScript cuts emoji in half and sends a lone surrogate, which msgspec refuses. Another escape
    of the same length in its place leaves every length as it is.
    """
    return text.replace(b"\\ud", b"\\u0").replace(b"\\uD", b"\\u0")


def _decode(body: bytes) -> _Members:
    """Raises: msgspec.DecodeError, RecursionError, _TooManyMembers."""
    if len(body) <= _SMALL_BYTES:
        members = _members_decoder.decode(body)
        if len(members) > MEMBERS_AT_MOST:
            raise _TooManyMembers
        return members
    return _counted.decode(body)
