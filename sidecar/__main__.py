"""Process door: ``python -m sidecar``, and the command ``plano-sidecar``."""

import gc
import os
import signal
import sys
from types import FrameType


def main() -> int:
    """Run the command line; return the exit code.

    The first process of a container has no default action for SIGTERM: one that came while it still
    imports would be lost, and a kubelet would wait for the whole grace. So a signal ends `run` at
    once, until `sidecar.process` handles signals itself. SIGHUP, whose default action ends a
    process, waits in the kernel until then.
    """
    if sys.argv[1:2] == ["run"]:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _end)
        # What is imported stays: only what is new is looked at, until `sidecar.app` has started.
        gc.set_threshold(2_000, 1_000)
    from sidecar.cli import main as run_command

    code = run_command()
    # All is closed: a signal that comes now changes nothing about how it ended.
    # The interpreter's own end restores the default of what Python handles, not of what is ignored.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return code


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's signature
    """Nothing is open yet. `sys.exit` would raise in the middle of an import that may catch it."""
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
