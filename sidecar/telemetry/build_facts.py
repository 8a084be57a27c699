"""What runs, and on what: the log's first line, ``build_info`` and `/status` tell the same."""

from __future__ import annotations

import asyncio
import platform

from sidecar import __version__
from sidecar.runtime.installation import is_compiled
from sidecar.telemetry.status import BuildStatus


def build_facts(listener_path: str) -> BuildStatus:
    """Return what runs; the event loop is the running one, or nothing without one.

    Args: ``listener_path`` is `listener.server.listener_path`.
    """
    try:
        loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    except RuntimeError:
        loop = ""
    return BuildStatus(__version__, platform.python_version(), loop, is_compiled(), listener_path)
