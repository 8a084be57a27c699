"""What a line of the log looks like: JSON, logfmt or plain text. Pure.

One event is one line, and no value can make a second one: whatever is not printable is escaped. A
line begins with ``time`` (UTC), ``level`` and ``logger``; ``event`` names what happened, where
programs may want to know; ``message`` says it in words; an event's own fields follow, as
`domain.log_fields` has them.

An exception is written as class names and places in the code. Its message is left out, since it
may hold what a call carried.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import Final

Facts = Mapping[str, object]
"""A line's fields, in their order."""

VALUE_CHARS: Final = 2000
"""A longer value is cut: a line has an end, whatever is in it."""
ITEMS: Final = 100
"""Of a list; more are cut."""
_LINKS: Final = 5
"""Exceptions of one chain."""
_FRAMES: Final = 30
"""Of one exception: the innermost ones."""
_BARE: Final = re.compile(r"[!#-<>-~]+")
"""What needs no quotes in logfmt: printable ASCII without blank, quote and ``=``."""


class LogFormatter(logging.Formatter):
    """Makes one line of a record.

    Args: ``form`` is ``json``, ``logfmt`` or ``plain``.
    """

    def __init__(self, form: str) -> None:
        super().__init__()
        self._line_of = _LINE_OF[form]

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, without its end. Raises: nothing for any text."""
        return self._line_of(facts_of(record))


def facts_of(record: logging.LogRecord) -> dict[str, object]:
    """Return what a line says of a record."""
    facts: dict[str, object] = {
        "time": _utc(record.created),
        "level": record.levelname.lower(),
        "logger": record.name,
    }
    event = getattr(record, "event", None)
    if event is not None:
        facts["event"] = event
    facts["message"] = record.getMessage()
    facts.update(getattr(record, "fields", {}))
    if record.exc_info is not None and record.exc_info[1] is not None:
        facts["exception"] = exception_text(record.exc_info[1])
    return {name: _bounded(value) for name, value in facts.items()}


def exception_text(error: BaseException) -> str:
    """Return the classes of an exception and of its causes, each with where it came from, the
    innermost place last.
    """
    links: list[str] = []
    link: BaseException | None = error
    while link is not None and len(links) < _LINKS:
        places = []
        frame = link.__traceback__
        while frame is not None:
            code = frame.tb_frame.f_code
            file = "/".join(code.co_filename.split("/")[-2:])
            places.append(f"{file}:{frame.tb_lineno} {code.co_name}")
            frame = frame.tb_next
        at = f" at {', '.join(places[-_FRAMES:])}" if places else ""
        links.append(f"{type(link).__name__}{at}")
        link = link.__cause__ or link.__context__
    return "; because of ".join(links)


def _utc(created_s: float) -> str:
    moment = dt.datetime.fromtimestamp(created_s, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _bounded(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_bounded(each) for each in value[:ITEMS]]
    text = str(value)
    return text if len(text) <= VALUE_CHARS else f"{text[:VALUE_CHARS]}..."


def _json_line(facts: Facts) -> str:
    # ASCII alone: no line separator of Unicode and no lone surrogate is left in it.
    return json.dumps(facts, ensure_ascii=True, separators=(",", ":"))


def _logfmt_line(facts: Facts) -> str:
    return " ".join(f"{name}={_quoted(_text(value))}" for name, value in facts.items())


def _plain_line(facts: Facts) -> str:
    """Time, level and message for a person, then the event's own fields that say something."""
    rest = {name: _text(value) for name, value in facts.items() if name not in _PLAIN_HEAD}
    pairs = "".join(f" {name}={_quoted(text)}" for name, text in rest.items() if text)
    head = f"{facts['time']} {str(facts['level']).upper():7} {facts['message']}"
    return printable(head) + (f" |{pairs}" if pairs else "")


_PLAIN_HEAD: Final = frozenset(("time", "level", "logger", "event", "message"))

_LINE_OF: Final[Mapping[str, Callable[[Facts], str]]] = {
    "json": _json_line,
    "logfmt": _logfmt_line,
    "plain": _plain_line,
}


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return str(value)


def _quoted(text: str) -> str:
    return text if _BARE.fullmatch(text) else json.dumps(text)


def printable(text: str) -> str:
    """Return a text with everything escaped that could end a line or move a terminal's cursor."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
