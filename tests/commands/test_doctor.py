"""What `plano-sidecar doctor` prints, and how it ends."""

from __future__ import annotations

import json

import pytest

from sidecar.cli import main
from sidecar.commands import doctor
from tests.support.net import closed_port

CONFIG = "model_providers:\n  - {{model: vllm/m, access_key: sk-marked, base_url: '{url}'}}\n"


@pytest.fixture
def config(tmp_path):
    """A config whose provider is not there."""
    file = tmp_path / "c.yaml"
    file.write_text(CONFIG.format(url=f"http://127.0.0.1:{closed_port()}"))
    return file


def test_what_would_fail_calls_ends_with_1(config, capsys):
    """A table on stdout, without the key, and without colours where nobody sees them."""
    assert 1 == main(["doctor", "--config", str(config)])
    printed = capsys.readouterr()

    assert "FAIL  vllm/m" in printed.out
    assert "connection refused" in printed.out
    assert "1 would fail calls." in printed.out
    assert "\x1b" not in printed.out
    assert "sk-marked" not in printed.out + printed.err


def test_a_terminal_that_wants_colours_gets_them(config, capsys, monkeypatch):
    """The rest of the report stays the same."""
    monkeypatch.setattr(doctor, "is_coloured", lambda _out, _environ: True)
    assert 1 == main(["doctor", "--config", str(config)])

    assert "\x1b" in capsys.readouterr().out


def test_machines_get_one_json_object(config, capsys):
    """With the same verdict."""
    assert 1 == main(["doctor", "--config", str(config), "--json", "--no-spend"])
    report = json.loads(capsys.readouterr().out)

    assert ("failed", str(config)) == (report["verdict"], report["config"])
    assert ["provider", "store"] == [each["kind"] for each in report["findings"]]


def test_a_config_that_cannot_be_used_ends_with_78(tmp_path, capsys):
    """Nothing is asked then."""
    file = tmp_path / "c.yaml"
    file.write_text("model_providers: 3\n")

    assert 78 == main(["doctor", "--config", str(file)])
    assert ":1: " in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan", "1e9"])
def test_a_timeout_is_a_number_of_seconds(seconds, capsys):
    """Anything else is a wrong use."""
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--timeout", seconds])

    assert 64 == ended.value.code
    assert "seconds" in capsys.readouterr().err
