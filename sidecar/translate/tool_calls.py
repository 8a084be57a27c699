"""The arguments of tool calls: JSON as the model wrote it, which may be no JSON."""

from __future__ import annotations

from typing import Final

import msgspec

from sidecar.translate.bounds import Untranslatable

NO_ARGUMENTS: Final = "{}"
"""What a call without arguments is given: apps parse them, and an empty text is no JSON."""
_INPUT: Final = "input"
"""The one argument of a function that stands for a tool without a schema."""
CUSTOM_START: Final = '{"input":"'
CUSTOM_END: Final = '"}'
"""What stands around the text of such a tool, to make it the arguments of that function."""
_INPUT_CHARS: Final = 64 * 1024
"""As much is kept at most of arguments that are no object."""
_INVALID: Final = "INVALID_JSON"
"""Precedent: what Anthropic's documentation puts around arguments that are no JSON object.
Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming.
"""

_encode: Final = msgspec.json.Encoder().encode
_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _CustomArguments(msgspec.Struct):
    input: str


_decode_custom: Final = msgspec.json.Decoder(_CustomArguments).decode


def name_of(name: object) -> str:
    """Return a tool's name. Raises: Untranslatable where a call has none."""
    if not isinstance(name, str) or not name:
        raise Untranslatable("a tool call of the provider's has no name")
    return name


def arguments_of(arguments: object) -> str:
    """Return a call's arguments as JSON text; some servers send the object itself."""
    if isinstance(arguments, str):
        return arguments or NO_ARGUMENTS
    return _encode(arguments).decode() if isinstance(arguments, dict) else NO_ARGUMENTS


def input_object(arguments: str) -> msgspec.Raw:
    """Return arguments as the JSON object that messages want, with the text inside one where they
    are none, so that nothing of it is lost.
    """
    try:
        _decode_members(arguments)
    except (ValueError, RecursionError):
        return msgspec.Raw(
            _encode({} if arguments.strip() in ("", "null") else {_INVALID: arguments})
        )
    return msgspec.Raw(arguments.encode())


class InputPieces:
    """Passes the input of a call on as it comes. What does not begin as an object is kept for the
    call's end, and then put into one.
    """

    __slots__ = ("_begins_as_object", "_kept")

    def __init__(self) -> None:
        self._begins_as_object = False
        self._kept = ""

    def add(self, piece: str) -> str:
        """Return what may go on now. Raises: Untranslatable, once more is kept than may be."""
        if self._begins_as_object:
            return piece
        self._kept += piece
        if self._kept.lstrip().startswith("{"):
            self._begins_as_object = True
            return self._kept
        if len(self._kept) > _INPUT_CHARS:
            raise Untranslatable("the arguments of a tool call of the provider's are no object")
        return ""

    def end(self) -> str:
        """Return the object in which what was kept stands; empty where all has gone on."""
        return "" if self._begins_as_object else bytes(input_object(self._kept)).decode()


def custom_arguments(text: object) -> str:
    """Return the arguments of the function that stands for a tool without a schema."""
    return _encode({_INPUT: text if isinstance(text, str) else ""}).decode()


def custom_piece(text: object) -> str:
    """Return a piece of such a text as it stands between `CUSTOM_START` and `CUSTOM_END`."""
    return _encode(text).decode()[1:-1] if isinstance(text, str) else ""


def custom_input(arguments: str) -> str:
    """Return the text for a tool without a schema; all of the arguments where the model did not
    keep to the function's schema.
    """
    try:
        return _decode_custom(arguments.encode()).input
    except (ValueError, RecursionError):
        return arguments
