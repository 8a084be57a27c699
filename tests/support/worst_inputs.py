"""Inputs that cost a proxy more work than their bytes say: request bodies, request heads, and what
providers and router models send back.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import random
import zlib
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


def compressions() -> dict[str, Callable[[bytes], bytes]]:
    """What makes a body one of each content coding that is served; zstd where it is installed."""
    found: dict[str, Callable[[bytes], bytes]] = {
        "gzip": lambda body: gzip.compress(body, 1),
        "deflate": lambda body: zlib.compress(body, 1),
    }
    with contextlib.suppress(ImportError):
        from backports import zstd

        found["zstd"] = lambda body: zstd.compress(body, 1)
    return found


def compressed(size: int) -> dict[str, tuple[str, bytes]]:
    """Coded bodies of which decoders have more work than their bytes say, or more than is made of
    them: coding and body, by name. Args: ``size`` is how much is made of one, at most.
    """
    small = member(b"[" + _TURN + b"]", b"messages")
    noise = random.Random(0).randbytes(min(size, 8 << 20))
    stored = zlib.compressobj(0, wbits=31)
    found = {
        "a bomb": ("gzip", gzip.compress(b" " * (size - 1000) + small, 9)),
        "a bomb beyond the limit": ("gzip", gzip.compress(b" " * (8 * size), 9)),
        "stored": ("gzip", stored.compress(b" " * (size - 1000) + small) + stored.flush()),
        "members of nothing": ("gzip", gzip.compress(b"") * 1000 + gzip.compress(small)),
        "too many members": ("gzip", gzip.compress(b"") * (size // 20)),
        "blocks of nothing": ("gzip", _empty_blocks(min(size, 8 << 20))),
        "noise": ("gzip", gzip.compress(b" ")[:10] + noise),
        "stored noise": ("gzip", gzip.compress(noise, 0)),
        "a long name": ("gzip", b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * min(size, 8 << 20)),
    }
    for coding, compress in compressions().items():
        found[f"noise of 8 MiB in {coding}"] = coding, compress(noise)
        found[f"a bomb in {coding}"] = coding, compress(b" " * (size - 1000) + small)
    if "zstd" in compressions():
        compress = compressions()["zstd"]
        found["frames of nothing"] = "zstd", compress(b"") * 1000 + compress(small)
        found["skippable frames"] = "zstd", b"\x50\x2a\x4d\x18" + bytes(4) * 1 + compress(small)
    return found


def _empty_blocks(size: int) -> bytes:
    """A gzip member of blocks that hold nothing."""
    deflate = zlib.compressobj(6, wbits=31)
    head = deflate.compress(b"") + deflate.flush(zlib.Z_FULL_FLUSH)
    return head[:10] + b"\x00\x00\x00\xff\xff" * (size // 5)


def patched(key: bytes) -> dict[str, Shape]:
    """Request bodies in which much looks as if it had to be written otherwise."""
    ttl = b'"cache_control":{"type":"ephemeral","ttl":"1h"}'
    text = b'{"type":"text","text":"x",%b}' % ttl
    result = b'{"type":"tool_result","content":[%b]}' % text
    units = {
        "developers": b'{"role":"developer","content":"x"}',
        "words of changes": b'{"role":"developer","content":[{"ttl":{"cache_control":"role"}}]}',
        "turns to change": b'{"role":"user","content":[%b]}' % text,
        "results to change": b'{"role":"user","content":[%b]}' % result,
        "many parts to change": b'{"role":"user","content":[%b]}' % row(text, 100_000),
        "many results to change": b'{"role":"user","content":[%b]}' % row(result, 100_000),
        "escaped words": b'{"role":"user","content":[{"\\u0063ache_control":{"ttl":1}}]}',
        "deep": b'{"content":' * 300 + b"1" + b"}" * 300,
        "repeated members": b'{%b,"content":[]}' % row(b'"role":"developer"', 4000),
        "numbers": b"0",
        "zero": b'"role"',
    }
    shapes = {name: _array(unit, key) for name, unit in units.items()}
    for name in (b"include", b"tools", b"system", b"stop"):
        for what, unit in (("words", b'"reasoning.encrypted_content"'), ("texts", text)):
            shapes[f"{name.decode()} of {what}"] = functools.partial(_beside, name, unit, key)
    shapes["members to leave out"] = lambda size: (
        b'{"model":"gpt-4o-mini",'
        + row(b'"temperature":0.%b' % (b"1" * min(900, size // 999)), min(size, 900_000))
        + b"}"
    )
    shapes["members of a member"] = lambda size: (
        b'{"reasoning":{%b},' % row(b'"effort":"none"', size) + member(b"[]", key)[1:]
    )
    return shapes


def _beside(name: bytes, unit: bytes, key: bytes, size: int) -> bytes:
    return b'{"%b":[%b],' % (name, row(unit, size)) + member(b"[%b]" % _TURN, key)[1:]


def forms() -> dict[str, tuple[bytes, Shape]]:
    """Uploads by name: their Content-Type line, and the body."""
    kind = b"Content-Type: multipart/form-data; boundary=%b\r\n"
    field = b'Content-Disposition: form-data; name="%b"\r\n\r\nx\r\n--b'
    many = kind[:-2] % b"b" + b"; a=b" * 12_000 + b"\r\n"
    return {
        "form: fields": (kind % b"b", filled(b"\r\n" + field % b"n", b"--b")),
        "form: delimiters": (kind % b"b", filled(b"--b\r\n", b"--b\r\n")),
        "form: nearly delimiters": (kind % (b"-" * 70), filled(b"-", b"--" + b"-" * 70 + b"\r\n")),
        "form: long head": (kind % b"b", filled(b"a: b\r\n", b"--b\r\n")),
        "form: parameters": (
            kind % b"b",
            filled(
                b"\r\nContent-Disposition: form-data%b\r\n\r\nx\r\n--b" % (b'; a="\\""' * 400),
                b"--b",
            ),
        ),
        "form: parameters of the kind": (many, filled(b"x", b"--b\r\n")),
        "form: quotes of the kind": (
            kind[:-2] % b"b" + b'; a="\\b"' * 7000 + b"\r\n",
            filled(b"x", b"--b\r\n"),
        ),
        "form: an open quote": (
            kind[:-2] % b"b" + b'; a="' + b"\\b" * 30_000 + b"\r\n",
            filled(b"x", b"--b\r\n"),
        ),
        "bytes": (b"Content-Type: application/octet-stream\r\n", filled(b"x")),
        "JSON": (b"Content-Type: application/json\r\n", filled(b"0,", b"[", b"0]")),
    }


def targets() -> dict[str, bytes]:
    """What a target of 60 KiB may be of."""
    units = {
        "escapes": b"%41",
        "escaped escapes": b"%2541",
        "escaped three times": b"%252541",
        "no UTF-8": b"%ff",
        "slashes": b"/",
        "segments": b"/a",
        "dots": b"/...",
        "parameters": b"/a;a",
        "query": b"?",
        "queries": b"&a=b",
        "letters": b"a",
    }
    found = {name: unit * (60_000 // len(unit)) for name, unit in units.items()}
    found["query of members"] = b"?" + found["queries"]
    found["query of escapes"] = b"?" + found["escapes"]
    return found


_JUNK: Final[dict[str, bytes]] = {
    "lists": b"[]",
    "objects": b"{}",
    "nested": b'{"a":[1]}',
    "numbers": b"1",
}
_WRITTEN: Final[dict[str, bytes]] = {
    "plain": b"x",
    "quotes": b'\\"a\\n',
    "half emoji": b"\\ud83d",
    "whole emoji": b"\\ud83d\\ude00",
}
_TRANSLATED: Final[dict[str, dict[str, tuple[bytes, bytes]]]] = {
    "chat": {
        "usage": (b'{"choices":[{"message":{"content":"x"}}],"usage":[', b"]}"),
        "content": (b'{"choices":[{"message":{"content":[', b"]}}]}"),
        "choices": (b'{"choices":[{"message":{"content":"x"}},', b"]}"),
    },
    "responses": {
        "usage": (b'{"output":[],"usage":[', b"]}"),
        "output": (b'{"output":[', b"]}"),
        "content": (b'{"output":[{"type":"message","content":[', b"]}]}"),
    },
    "messages": {
        "usage": (b'{"content":[],"usage":[', b"]}"),
        "content": (b'{"content":[', b"]}"),
        "input": (
            b'{"content":[{"type":"tool_use","id":"a","name":"f","input":{"a":[',
            b"]}}]}",
        ),
    },
}
"""Where a response may hold many values, by API."""
_TEXTS_OF: Final[dict[str, tuple[bytes, bytes]]] = {
    "chat": (b'{"choices":[{"message":{"content":"', b'"}}]}'),
    "responses": (
        b'{"output":[{"type":"message","content":[{"type":"output_text","text":"',
        b'"}]}]}',
    ),
    "messages": (b'{"content":[{"type":"text","text":"', b'"}]}'),
}
_EVENTS_OF: Final[dict[str, tuple[bytes, bytes]]] = {
    "chat": (b'data: {"choices":[{"index":0,"delta":{"content":"', b'"}}]}\n\n'),
    "responses": (
        (
            b'data: {"type":"response.created","response":{"id":"r"}}\n\n'
            b'data: {"type":"response.output_text.delta","output_index":0,"delta":"'
        ),
        b'"}\n\n',
    ),
    "messages": (
        (
            b'data: {"type":"message_start","message":{}}\n\n'
            b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text"}}\n\n'
            b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"'
        ),
        b'"}}\n\n',
    ),
}


def translated_replies(api: str) -> dict[str, Shape]:
    """Whole responses of an API, by name."""
    shapes: dict[str, Shape] = {}
    for place, (before, after) in _TRANSLATED[api].items():
        for name, unit in _JUNK.items():
            shapes[f"{place}, {name}"] = _between(before, unit, after)
    for name, unit in _WRITTEN.items():
        shapes[f"text, {name}"] = filled(unit, *_TEXTS_OF[api])
    return shapes


def translated_events(api: str) -> dict[str, Shape]:
    """Event streams of an API that hold one long event."""
    return {f"text, {name}": filled(unit, *_EVENTS_OF[api]) for name, unit in _WRITTEN.items()}


def _between(before: bytes, unit: bytes, after: bytes) -> Shape:
    return lambda size: before + row(unit, size) + after
