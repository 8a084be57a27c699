"""The page `/logging`: the log's level, and calls of which the log tells all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgspec
from aiohttp import web

from sidecar.listener.operators import OperatorPage
from sidecar.listener.page_replies import BadBody, json_reply, read_object, refusal

PATH: Final = "/logging"
LEVELS: Final = ("debug", "info", "warning", "error")
_SECONDS: Final = 600.0
_NAME_CHARS: Final = 4096
_DEBUG_SAYS: Final = (
    'debug must be null, or an object of "request_id" or "session" and, if not 600, "seconds"'
)


class CallNames(Protocol):
    """Names of calls of which the log tells all, for a while."""

    def name_request(self, request_id: str, for_s: float) -> None:
        """Name the call of an ``x-request-id``."""
        ...

    def name_session(self, session_id: str, for_s: float) -> None:
        """Name all calls of a session."""
        ...

    def clear(self) -> None:
        """Forget all names."""
        ...

    def names(self) -> Sequence[object]:
        """Return what is named now, as JSON can hold it, sessions hashed."""
        ...


class LogControl(msgspec.Struct, frozen=True):
    """What the page steers."""

    level: Callable[[], str]
    set_level: Callable[[str], None]
    calls: CallNames | None = None
    """None where no call can be named."""


class LoggingPage:
    """Shows and changes what the log tells."""

    def __init__(self, control: LogControl) -> None:
        self._control = control

    def pages(self) -> tuple[OperatorPage]:
        """Return the page."""
        text = (
            'the log\'s level and the calls it tells all of; POST {"level": "debug"} or '
            '{"debug": {"session": "s1"}} changes them'
        )
        return (OperatorPage(PATH, ("GET", "POST"), self._serve, text, changes=True),)

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        if request.method == "POST":
            try:
                self._change(await read_object(request))
            except BadBody as error:
                return refusal(400, str(error))
        control = self._control
        names = () if control.calls is None else control.calls.names()
        return json_reply(200, {"level": control.level(), "debug": names})

    def _change(self, wanted: dict[str, Any]) -> None:
        """Raises: BadBody before anything is changed."""
        if not wanted or wanted.keys() - {"level", "debug"}:
            raise BadBody('the body must hold "level" or "debug", and nothing else')
        level = wanted.get("level", self._control.level())
        if level not in LEVELS:
            raise BadBody(f"level must be one of {', '.join(LEVELS)}")
        if "debug" in wanted:
            self._name(wanted["debug"])
        if "level" in wanted:
            self._control.set_level(level)

    def _name(self, debug: object) -> None:
        calls = self._control.calls
        if calls is None:
            raise BadBody("this sidecar writes down no single calls")
        if debug is None:
            calls.clear()
            return
        if not isinstance(debug, dict):
            raise BadBody(_DEBUG_SAYS)
        seconds = debug.pop("seconds", _SECONDS)
        is_time = type(seconds) in (int, float) and 0 < seconds <= _SECONDS
        kind, name = next(iter(debug.items()), ("", ""))
        is_name = isinstance(name, str) and 0 < len(name) <= _NAME_CHARS
        if len(debug) != 1 or kind not in ("request_id", "session") or not (is_name and is_time):
            raise BadBody(_DEBUG_SAYS)
        (calls.name_request if kind == "request_id" else calls.name_session)(name, seconds)
