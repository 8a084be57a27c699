"""The pages `/drain` and `/quitquitquit`: the way down, asked for by an operator or a hook."""

from __future__ import annotations

import msgspec
from aiohttp import web

from sidecar.listener.operators import OperatorPage
from sidecar.listener.page_replies import json_reply
from sidecar.runtime.shutdown import Shutdown

DRAIN_PATH = "/drain"
QUIT_PATH = "/quitquitquit"


class DrainPage:
    """Begins the drain that SIGTERM begins. Whoever reaches these pages may: a preStop hook must
    not depend on a key of the config.
    """

    def __init__(self, shutdown: Shutdown) -> None:
        self._shutdown = shutdown

    def pages(self) -> tuple[OperatorPage, OperatorPage]:
        """Return both pages."""
        return (
            OperatorPage(
                DRAIN_PATH,
                ("GET", "POST"),
                self._drain,
                "how far a drain is; POST begins it: readiness off, serve on until quiet or the "
                "grace is spent; the process stays",
            ),
            OperatorPage(QUIT_PATH, ("POST",), self._quit, "the same, then the process exits 0"),
        )

    async def _drain(self, request: web.BaseRequest) -> web.Response:
        if request.method == "POST":
            self._shutdown.begin()
        return self._state(exits=self._shutdown.wanted.is_set())

    async def _quit(self, request: web.BaseRequest) -> web.Response:  # noqa: ARG002 - a page's signature
        self._shutdown.begin()
        self._shutdown.wanted.set()
        return self._state(exits=True)

    def _state(self, *, exits: bool) -> web.Response:
        state = msgspec.structs.asdict(self._shutdown.state())
        return json_reply(200, {**state, "exits": exits})
