"""Names of tools, as every API takes them.

The responses API has tools in namespaces, whose names it writes apart. Everywhere else a tool has
one name: inside this room a namespace and a name are one text, with a character between them that
no name has.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

_TAKEN: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What OpenAI's APIs take; Anthropic's takes up to 128 characters of the same alphabet."""
_OTHER: Final = re.compile(r"[^a-zA-Z0-9_-]")
_BETWEEN: Final = "\x1f"
"""Stands between a namespace and a name."""
_JOINT: Final = "__"
"""Stands between them where they are sent: as agents write the names of an MCP server's tools."""
_KEPT_CHARS: Final = 51
_HASH_CHARS: Final = 12


def sent_name(name: str) -> str:
    """Return a name as it is sent: the same one where every API takes it, else one that is made
    from it, the same each time, so that history and tools agree.
    """
    if _TAKEN.fullmatch(name):
        return name
    namespace, own = parted_name(name)
    joined = f"{(namespace or '').removesuffix(_JOINT)}{_JOINT}{own}"
    if namespace and _TAKEN.fullmatch(joined):
        return joined
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:_HASH_CHARS]
    return f"{_OTHER.sub('_', name[:_KEPT_CHARS])}_{digest}"


def qualified(namespace: str | None, name: str) -> str:
    """Return a tool's name with its namespace, where it has one."""
    return f"{namespace}{_BETWEEN}{name}" if namespace else name


def parted_name(name: str) -> tuple[str | None, str]:
    """Return the namespace, where there is one, and the name in it."""
    namespace, found, own = name.partition(_BETWEEN)
    return (namespace, own) if found else (None, name)
