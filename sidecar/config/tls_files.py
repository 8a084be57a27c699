"""PEM files of a provider or of Redis. They are looked for when a config is checked, and loaded at
start.
"""

from __future__ import annotations

import os
import pathlib

import msgspec

from sidecar.config.report import Path, Report
from sidecar.config.schema_providers import ProviderTls
from sidecar.config.schema_routing import RedisTls


class TlsFiles(msgspec.Struct, frozen=True):
    """PEM files for TLS to a provider."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


def tls_files_of(tls: ProviderTls, at: Path, report: Report) -> TlsFiles:
    """Return the files that an entry names, and report those that cannot be read."""
    for key in unreadable(tls):
        report.problem((*at, key), "names no file that can be read")
    if tls.key_file is not None and tls.cert_file is None:
        report.problem(
            (*at, "key_file"), "needs cert_file: a key without its certificate is shown to nobody"
        )
    return TlsFiles(tls.ca_file, tls.cert_file, tls.key_file)


def unreadable(tls: ProviderTls | RedisTls) -> list[str]:
    """Return the keys whose file cannot be read."""
    files = {key: getattr(tls, key) for key in ("ca_file", "cert_file", "key_file")}
    return [
        key
        for key, file in files.items()
        if file is not None and not (pathlib.Path(file).is_file() and os.access(file, os.R_OK))
    ]
