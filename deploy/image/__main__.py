"""``python -m deploy.image``: see ``--help``."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

from deploy.image.bases import BaseMissing
from deploy.image.build import Builder, Image, StepFailed
from deploy.image.container import Limits, NotReady
from deploy.image.dockerfile import read_dockerfile
from deploy.image.measure import Measuring, measure, size_mib, uncompiled, what_should_not_be_there
from deploy.observe.child import ProgramMissing

ROOT: Final = Path(__file__).parents[2]
LIMITS: Final = Limits(memory_mib=192, cpu_milli=50)
"""The chart's."""
_RUNS: Final = 15
_NEEDED: Final = ("mmdebstrap", "mount", "redis-server", "unshare")


def missing() -> str:
    """Return why this machine cannot build and run the image; empty where it can."""
    if not sys.platform.startswith("linux"):
        return "this is no Linux"
    if os.geteuid() != 0:
        return "namespaces and mounts need root"
    lacking = [name for name in _NEEDED if shutil.which(name) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else ""


def build(work: Path, *, compiled: bool) -> Image:
    """Run the Dockerfile's steps. Raises: BaseMissing, StepFailed, DockerfileError."""
    stages = read_dockerfile((ROOT / "deploy/Dockerfile").read_text(encoding="utf-8"))
    arguments = {"SIDECAR_COMPILE": "1" if compiled else "0"}
    return Builder(ROOT, ROOT / ".image", arguments, _tell).build(stages, work)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make image ARGS=...",
        description="Run the Dockerfile's steps without a container engine, and measure the image.",
    )
    parser.add_argument("--plain", action="store_true", help="leave the hot path uncompiled")
    text = "starts of each scene (default: %(default)s)"
    parser.add_argument("--runs", type=int, default=_RUNS, help=text)
    return parser.parse_args()


def _tell(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    """Build, measure, and return the exit code."""
    arguments = _arguments()
    reason = missing()
    if reason:
        print(reason, file=sys.stderr)
        return 1
    # Ended from outside it still ends the container and takes its roots away, as on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="plano-image-") as folder:
        work = Path(folder)
        work.chmod(0o755)  # the image's user looks into it
        try:
            image = build(work, compiled=not arguments.plain)
            whole, app = size_mib(image.root), size_mib(image.root / "app")
            _tell(f"\n{whole:.0f} MiB, of which {app:.0f} are the app.")
            for path in (*what_should_not_be_there(image), *uncompiled(image)):
                _tell(f"should not be so: {path}")
            asyncio.run(measure(image, Measuring(LIMITS, arguments.runs), work, _tell))
        except (BaseMissing, StepFailed, NotReady, ProgramMissing) as problem:
            print(problem, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
