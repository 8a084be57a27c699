"""``python -m deploy.observe``: see ``--help``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

from deploy.observe.child import ProgramMissing
from deploy.observe.dashboard import DashboardUnreadable
from deploy.observe.incidents import NIGHT, SHORT, USUAL, Script
from deploy.observe.run import DASHBOARD, alert_lines, draw, observe
from deploy.observe.scene import PODS

PICTURE: Final = "dashboard.png"
ALERTS: Final = "alerts.txt"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make observe ARGS=...",
        description="Two sidecars on a bad day, and the picture of the dashboard.",
    )
    parser.add_argument("--night", action="store_true", help="a night, in two minutes and a half")
    parser.add_argument("--short", action="store_true", help="what the tests run")
    parser.add_argument("--dashboard", type=Path, default=DASHBOARD, help="Grafana's JSON")
    parser.add_argument(
        "--out", type=Path, help="where the picture and the logs go (default: a new folder in /tmp)"
    )
    return parser.parse_args()


async def _run(script: Script, dashboard: Path, out: Path) -> None:
    loop = asyncio.get_running_loop()
    this = asyncio.current_task()
    assert this is not None
    loop.add_signal_handler(signal.SIGTERM, this.cancel)
    with tempfile.TemporaryDirectory(prefix="plano-observe-") as folder:
        try:
            findings = await observe(script, Path(folder), tell=_tell, dashboard=dashboard)
        finally:
            for pod in PODS:
                for log in (f"{pod}.log", f"{pod}.access.log"):
                    with contextlib.suppress(FileNotFoundError):
                        (out / log).write_bytes((Path(folder) / log).read_bytes())
    draw(findings, out / PICTURE)
    (out / ALERTS).write_text("\n".join([*alert_lines(findings), ""]))
    served = findings.statuses[200]
    _tell(f"\n{findings.statuses.total()} calls, of which {served} were served.")
    _tell(f"Picture, alerts and logs: {out}")


def _tell(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    """Run, and return the exit code: 130 after Ctrl-C, 1 where something is missing."""
    arguments = _arguments()
    out = arguments.out or Path(tempfile.mkdtemp(prefix="plano-observe-"))
    out.mkdir(parents=True, exist_ok=True)
    script = NIGHT if arguments.night else SHORT if arguments.short else USUAL
    _tell(
        f"Two sidecars, Redis, providers and Prometheus, for {script.lasts_s:.0f} s (times in UTC):"
    )
    try:
        asyncio.run(_run(script, arguments.dashboard, out))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    except (ProgramMissing, DashboardUnreadable, FileNotFoundError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
