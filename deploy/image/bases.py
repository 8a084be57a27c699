"""The base images' roots, made from the Debian packages that they consist of."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

_MIRROR: Final = "http://deb.debian.org/debian"
_CERTIFICATES: Final = Path("etc/ssl/certs/ca-certificates.crt")
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class BaseMissing(Exception):
    """A base image that cannot be made here; the message says why."""


class Base(NamedTuple):
    """What a base image consists of."""

    variant: str
    """mmdebstrap's: ``extract`` unpacks packages and runs no script of theirs, as distroless is
    made; ``minbase`` installs the smallest Debian with apt."""
    packages: tuple[str, ...]
    environment: Mapping[str, str]
    python: str = ""
    """What ``/usr/bin/python3`` names, where nothing in the packages says so."""


BASES: Final = {
    "debian:trixie-slim": Base("minbase", (), {"PATH": _PATH}),
    "gcr.io/distroless/python3-debian13:nonroot": Base(
        "extract",
        ("base-files", "libpython3.13-stdlib", "libstdc++6", "python3.13-minimal"),
        {"PATH": _PATH, "LANG": "C.UTF-8", "SSL_CERT_FILE": f"/{_CERTIFICATES}"},
        python="python3.13",
    ),
}


def base_root(name: str, cache: Path) -> Path:
    """Return the folder of a base image's root; it is made once.

    Raises: BaseMissing.
    """
    base = BASES.get(name)
    if base is None:
        raise BaseMissing(f"{name} is no base whose packages are known: {', '.join(BASES)}")
    root = cache / "bases" / name.replace("/", "_").replace(":", "_")
    if root.is_dir():
        return root
    if shutil.which("mmdebstrap") is None:
        raise BaseMissing("mmdebstrap is not installed")
    unfinished = root.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    command = ["mmdebstrap", "--quiet", "--mode=root", f"--variant={base.variant}"]
    command += [f"--include={','.join(base.packages)}"] if base.packages else []
    done = subprocess.run(
        [*command, "trixie", str(unfinished), _MIRROR], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BaseMissing(f"{name}: {done.stderr.strip()}")
    if base.variant == "extract":
        _finish(unfinished, base.python)
    unfinished.rename(root)
    return root


def _finish(root: Path, python: str) -> None:
    """Add what distroless makes itself: a user, links to Python, this machine's certificates."""
    for alias in ("python", "python3"):
        (root / "usr/bin" / alias).symlink_to(python)
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/sbin/nologin\n"
        "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
    )
    (root / "etc/group").write_text("root:x:0:\nnonroot:x:65532:\n")
    (root / _CERTIFICATES).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path("/") / _CERTIFICATES, root / _CERTIFICATES)
