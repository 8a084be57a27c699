"""Inputs that cost a proxy more work than their bytes say: request bodies, request heads, and what
providers and router models send back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

Shape = Callable[[int], bytes]
"""Makes an input of about that many bytes."""


def row(unit: bytes, size: int, joint: bytes = b",") -> bytes:
    """``unit`` again and again, with ``joint`` between."""
    return joint.join([unit] * max(1, size // (len(unit) + len(joint))))


def member(value: bytes, key: bytes) -> bytes:
    """A request body that names a model, with one member of that value before it."""
    return b'{"%b":%b,"model":"gpt-4o-mini"}' % (key, value)


_TURN: Final = b'{"role":"user","content":"go on"}'
_PART: Final = b'{"type":"text","text":"x"}'
_SIGNED: Final = b'{"role":"assistant","content":[{"type":"thinking","signature":"abc"}]}'

UNITS: Final[dict[str, bytes]] = {
    "zeros": b"0",
    "long numbers": b"1" * 400,
    "floats": b"-1.5e10",
    "nulls": b"null",
    "empty lists": b"[]",
    "empty objects": b"{}",
    "empty texts": b'""',
    "short texts": b'"abcdefghijklmnopq"',
    "escaped quotes": b'"' + b'\\"' * 3000 + b'"',
    "backslashes": b'"' + b"\\\\" * 3000 + b'"',
    "half emoji": b'"' + b"\\ud83d" * 1000 + b'"',
    "whole emoji": b'"' + b"\\ud83d\\ude00" * 1000 + b'"',
    "UTF-8 emoji": b'"' + "\U0001f600".encode() * 1000 + b'"',
    "UTF-8 accents": b'"' + "\u00e9".encode() * 1000 + b'"',
    "blanks": b" " * 4000 + b"0",
    "deep": b"[" * 500 + b"]" * 500,
    "deep objects": b'{"a":' * 400 + b"0" + b"}" * 400,
    "small turns": _TURN,
    "turns without text": b'{"role":"user","content":[]}',
    "turns of many parts": b'{"role":"user","content":[' + row(b"0", 8000) + b"]}",
    "turns of many texts": b'{"role":"user","content":[' + row(_PART, 8000) + b"]}",
    "tool results": b'{"role":"user","content":[{"type":"tool_result","content":"x"}]}',
    "half emoji turns": b'{"role":"user","content":"' + b"\\ud83d" * 1000 + b'"}',
    "system turns": b'{"role":"system","content":"x"}',
    "signed turns": _SIGNED,
    "large turns": b'{"role":"user","content":"' + b"x" * 200_000 + b'"}',
    "members": b'{"a":' + b"0" * 1 + b',"b":[],"c":{}}',
}
"""Elements of a conversation."""


def filled(unit: bytes, before: bytes = b"", after: bytes = b"") -> Shape:
    """``unit`` again and again, between two others."""
    return lambda size: before + unit * (size // len(unit)) + after


def _array(unit: bytes, key: bytes) -> Shape:
    return lambda size: member(b"[" + row(unit, size) + b"]", key)


def _text(unit: bytes, key: bytes) -> Shape:
    return lambda size: member(b'"' + unit * (size // len(unit)) + b'"', key)


def _turn(unit: bytes, key: bytes) -> Shape:
    content = filled(unit, b'[{"role":"user","content":"', b'"}]')
    return lambda size: member(content(size), key)


def _values(name: bytes, unit: bytes) -> Shape:
    return lambda size: b'{"%b":[%b]}' % (name, row(unit, size))


def _members(name: bytes) -> Shape:
    return lambda size: (
        b'{"%b":{%b}}' % (name, b",".join(b'"%d":0' % each for each in range(size // 9)))
    )


def bodies(key: bytes) -> dict[str, Shape]:
    """Request bodies by name. Args: ``key`` is the member that holds the conversation."""
    shapes = {name: _array(unit, key) for name, unit in UNITS.items()}
    for name, unit in (("plain", b"x"), ("half emoji", b"\\ud83d"), ("escaped quotes", b'\\"')):
        shapes[f"one text, {name}"] = _text(unit, key)
        shapes[f"one turn, {name}"] = _turn(unit, key)
    shapes |= {
        "one turn, many parts": lambda size: member(
            b'[{"role":"user","content":[' + row(b"0", size) + b"]}]", key
        ),
        "one turn, many texts": lambda size: member(
            b'[{"role":"user","content":[' + row(_PART, size) + b"]}]", key
        ),
        "one turn, many members": lambda size: member(
            b"[{" + row(b'"a":0', size) + b',"role":"user","content":"x"}]', key
        ),
        "model": lambda size: b'{"model":"' + b"m" * size + b'"}',
        "model, escaped": lambda size: b'{"model":"' + b"\\u006d" * (size // 6) + b'"}',
        "model, array": lambda size: b'{"model":[' + row(b"0", size) + b"]}",
        "stream, array": lambda size: (
            b'{"model":"gpt-4o-mini","stream":[' + row(b"0", size) + b"]}"
        ),
        "members": lambda size: b'{"model":"gpt-4o-mini",' + row(b'"a":0', size) + b"}",
        "1000 members": lambda size: (
            b'{"model":"gpt-4o-mini",' + row(b'"a":"%b"' % (b"x" * (size // 999)), size) + b"}"
        ),
        "escaped names": lambda size: (
            b'{"model":"gpt-4o-mini",' + row(b'"%b":0' % (b"\\u0061" * (size // 6000)), size) + b"}"
        ),
        "a long name": lambda size: b'{"%b":0,"model":"gpt-4o-mini"}' % (b"a" * size),
        "never closed": lambda size: b'{"model":"gpt-4o-mini","messages":' + b"[" * size,
        "no JSON": lambda size: b"x" * size,
        "blanks": lambda size: b" " * size + member(b"[]", key),
        "broken UTF-8": lambda size: member(b'"' + "\u00e9".encode() * (size // 2) + b'\xff"', key),
        "huge tools": lambda size: (
            b'{"%b":[%b],"tools":[' % (key, _TURN)
            + row(b'{"type":"function","function":{"name":"f","parameters":{"a":[0,1]}}}', size)
            + b'],"model":"gpt-4o-mini"}'
        ),
        "conversation twice": lambda size: (
            b'{"%b":[%b],' % (key, row(_TURN, size)) + member(b"[]", key)[1:]
        ),
        "session in the body": lambda size: (
            b'{"metadata":{"user_id":"%b"},' % (b"x" * min(size, 60_000)) + member(b"[]", key)[1:]
        ),
        "session members": lambda size: (
            b'{"metadata":{%b},' % row(b'"a":0', min(size, 60_000)) + member(b"[]", key)[1:]
        ),
        "own routes": lambda size: _own_routes(
            row(b'{"name":"%d","description":"d","models":["gpt-4o"]}', min(size, 250_000)), key
        ),
        "own route, many models": lambda size: _own_routes(
            b'{"name":"a","description":"d","models":['
            + row(b'"gpt-4o"', min(size, 250_000))
            + b"]}",
            key,
        ),
    }
    return shapes


def _own_routes(entries: bytes, key: bytes) -> bytes:
    count = entries.count(b"%d")
    numbered = entries % tuple(range(count)) if count else entries
    return b'{"routing_preferences":[%b],' % numbered + member(b"[" + _TURN + b"]", key)[1:]


def heads() -> dict[str, bytes]:
    """Header lines of requests, below the limits of a head."""
    return {
        "tracestate, commas": b"traceparent: 00-%b-%b-01\r\ntracestate: %b\r\n"
        % (b"1" * 32, b"2" * 16, b"," * 7000),
        "tracestate, members": b"traceparent: 00-%b-%b-01\r\n" % (b"1" * 32, b"2" * 16)
        + b"".join(b"tracestate: a%d=%b\r\n" % (each, b"x" * 250) for each in range(100)),
        "many fields": b"".join(b"x-%d: %b\r\n" % (each, b"y" * 500) for each in range(110)),
        "many sessions": b"x-model-affinity: %b\r\n" % (b"s" * 4000) * 10,
        "many connection names": b"connection: %b\r\n" % row(b"a", 7000),
        "accept": b"accept: %b\r\n" % row(b"*/*;q=0.1", 7000),
    }


CHUNK: Final = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":'
    b'[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n'
)
_DONE: Final = b"data: [DONE]\n\n"
_USAGE: Final = b'{"model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}'


def streams() -> dict[str, Shape]:
    """Bodies of event streams by name."""
    units = {
        "chunks": CHUNK,
        "tiny events": b"data:0\n\n",
        "comments": b":\n\n",
        "line ends": b"\n",
        "carriage returns": b"\r",
        "telling events": b'data:"usage"\n\n',
        "usage events": b"data: " + _USAGE + b"\n\n",
        "broken usage events": b'data:{"usage":[\n\n',
        "side by side": b'data:{"choices":[{"index":1,"delta":{}}]}\n\n',
        "error nulls": b'data:{"error":null,"choices":[{}]}\n\n',
        "named errors": b"event: error\n",
        "many choices": b'data:{"usage":1,"choices":[' + row(b'{"index":1}', 60_000) + b"]}\n\n",
        "words of the last event": b'data: {"x":"[DONE] message_stop"}\n\n',
        "half emoji": b'data:{"usage":"' + b"\\ud83d" * 1000 + b'"}\n\n',
        "preambles": b'data:{"choices":[]}\n\n',
        "escaped": b"data: " + b"\\u0000" * 1000 + b"\n\n",
    }
    shapes: dict[str, Shape] = {name: filled(unit, CHUNK, _DONE) for name, unit in units.items()}
    shapes |= {f"{name} first": filled(unit, b"", CHUNK + _DONE) for name, unit in units.items()}
    shapes["one event"] = lambda size: b'data: {"usage":"' + b"x" * size + b'"}\n\n' + _DONE
    shapes["one line"] = lambda size: b"data: " + b"x" * size
    shapes["one event, many choices"] = lambda size: (
        b'data: {"usage":1,"choices":[' + row(b'{"index":1}', size) + b"]}\n\n" + _DONE
    )
    shapes["one event, many values"] = lambda size: (
        b'data: {"usage":[' + row(b"[]", size) + b"]}\n\n" + _DONE
    )
    return shapes


def replies() -> dict[str, Shape]:
    """JSON bodies of replies, good ones and errors, by name."""
    texts = {
        "words": b"the model does not support this request ",
        "digits": b"limit 1 requested ",
        "blanks": b" ",
        "quotes": b'\\"',
        "escapes": b"\\n",
        "half emoji": b"\\ud83d",
        "dots": b"a.",
        "hashes": b"0a1b2c ",
        "length words": b"maximum context length tokens ",
        "braces": b"{",
        "key words": b"api key invalid not ",
    }
    shapes: dict[str, Shape] = {}
    for name, unit in texts.items():
        shapes[f"message of {name}"] = filled(unit, b'{"error":{"message":"', b'"}}')
    for name in ("usage", "choices", "error", "details", "content"):
        shapes[f"{name}: values"] = _values(name.encode(), b"[]")
        shapes[f"{name}: objects"] = _values(name.encode(), b"{}")
        shapes[f"{name}: members"] = _members(name.encode())
    shapes |= {
        "errors in errors": lambda size: b'{"error":' * (size // 10) + b"1" + b"}" * (size // 10),
        "messages": lambda size: b'{"error":[%b]}' % row(b'{"message":"the model is gone"}', size),
        "messages in messages": lambda size: (
            b'{"error":{"message":"%b"}}' % row(b'error: {\\"message\\": 1}', size, b" ")
        ),
        "a page": lambda size: b"<html>" + b"<p>" * (size // 3),
        "usage at the end": lambda size: b'{"x":"%b","usage":%b' % (b"x" * size, b"}" * 4000),
        "braces at the end": lambda size: b'{"x":"%b","usage":{%b' % (b"x" * size, b"{}" * 2000),
        "digits": lambda size: b"1" * size,
        "blanks": lambda size: b" " * size,
        "lists": lambda size: b"[" + row(b"[]", size) + b"]",
    }
    return shapes


def verdicts() -> dict[str, Shape]:
    """What a router model may say, as text."""
    units = {
        "words": b"code ",
        "braces": b"{",
        "opened routes": b'{\\"route\\":',
        "fences": b"```",
        "opened fences": b"```json {",
        "lists": b'{\\"a\\":[[[[',
        "quotes": b"'",
        "objects": b'{\\"route\\":1}',
        "loose": b"{'route': ",
        "half emoji": b"\\ud83d",
        "deep": b"[",
    }
    before, after = b'{"choices":[{"message":{"content":"', b'"}}]}'
    return {name: filled(unit, before, after) for name, unit in units.items()}
