"""What an installation is made of."""

from __future__ import annotations

import importlib
import importlib.util
import ssl
import sys
from types import SimpleNamespace

import pytest

from sidecar.runtime import installation
from tests.support.certificates import CertificateAuthority


@pytest.mark.parametrize(("origin", "compiled"), [("x/proxy.py", False), ("x/proxy.so", True)])
def test_a_compiled_package_has_extension_modules(monkeypatch, origin, compiled):
    """Of the same names as the sources."""
    spec = SimpleNamespace(origin=origin)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)

    assert compiled == installation.is_compiled()


@pytest.mark.parametrize(
    ("missing", "expected"),
    [(None, True), ("opentelemetry.sdk", False), ("opentelemetry.exporter.otlp.proto.http", False)],
)
def test_spans_can_be_exported_where_sdk_and_exporter_are_installed(monkeypatch, missing, expected):
    """One without the other is none."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else real(name)
    )

    assert expected == installation.can_export_spans()


def test_spans_cannot_be_exported_without_a_trace_of_the_sdk(monkeypatch):
    """As where the extra was never installed."""

    def fail(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib.util, "find_spec", fail)

    assert not installation.can_export_spans()


def test_a_package_is_not_found_while_it_is_taken_for_missing():
    """By what is imported meanwhile; afterwards it is there again, also where that raised."""
    sys.modules.pop("colorsys", None)
    with pytest.raises(ModuleNotFoundError), installation.as_if_missing("colorsys"):
        importlib.import_module("colorsys")

    assert "colorsys" == importlib.import_module("colorsys").__name__


def test_a_package_that_is_loaded_stays_so():
    """What has it already could not do without it."""
    with installation.as_if_missing("json"):
        assert "json" == importlib.import_module("json").__name__


def test_a_context_that_is_made_meanwhile_trusts_nobody(tmp_path):
    """Its maker never uses it. One that is given a CA trusts it, and the next one trusts
    whom the system trusts.
    """
    with installation.without_default_certificates():
        nobody = ssl.create_default_context()
        with_ca = ssl.create_default_context(cafile=str(CertificateAuthority(tmp_path).ca))
    usual = ssl.create_default_context()

    assert 0 == nobody.cert_store_stats()["x509"]
    assert ssl.CERT_REQUIRED == nobody.verify_mode
    assert with_ca.cert_store_stats()["x509"] > 0
    assert usual.cert_store_stats() == ssl.create_default_context().cert_store_stats()
