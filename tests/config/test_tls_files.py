"""The PEM files of a provider, as `check` looks at them."""

from __future__ import annotations

from pathlib import Path

from sidecar.config.address import TlsFiles
from tests.config.loading import load, problems

ENTRY = "model_providers: [{{model: openai/gpt-4o, access_key: k, tls: {{{tls}}}}}]"


def test_files_that_can_be_read_are_the_providers(tmp_path: Path):
    """And the name that is verified."""
    for name in ("ca.pem", "c.pem", "k.pem"):
        (tmp_path / name).write_text("PEM")
    tls = f"ca_file: {tmp_path}/ca.pem, cert_file: {tmp_path}/c.pem, key_file: {tmp_path}/k.pem, server_name: x.example"
    (provider,) = load(ENTRY.format(tls=tls)).providers

    assert (
        TlsFiles(f"{tmp_path}/ca.pem", f"{tmp_path}/c.pem", f"{tmp_path}/k.pem")
        == provider.server.tls_files
    )
    assert "x.example" == provider.server.server_name


def test_without_the_key_nothing_is_changed():
    """The system's trust, the URL's name."""
    (provider,) = load(ENTRY.format(tls="")).providers

    assert (TlsFiles(), None) == (provider.server.tls_files, provider.server.server_name)


def test_files_that_cannot_be_read_are_problems_each(tmp_path: Path):
    """A directory is no file."""
    found = problems(ENTRY.format(tls=f"ca_file: {tmp_path}, cert_file: {tmp_path}/none.pem"))

    assert ["ca_file", "cert_file"] == [line.split(": ")[1].rpartition(".")[2] for line in found]
    assert all("names no file that can be read" in line for line in found)


def test_a_key_without_its_certificate_is_a_problem(tmp_path: Path):
    """It would be shown to nobody."""
    (tmp_path / "k.pem").write_text("PEM")
    (found,) = problems(ENTRY.format(tls=f"key_file: {tmp_path}/k.pem"))

    assert "key_file: needs cert_file" in found
