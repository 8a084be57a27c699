"""What the documents name is there: a link that leads nowhere, or a metric of yesterday, costs
somebody's night.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

_IGNORED = {".image", ".git", "node_modules", "wheel"}
DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part in _IGNORED or part.startswith(".venv") for part in path.parts)
)
OF_TODAY = [each for each in DOCUMENTS if each.name != "CHANGELOG.md"]
"""The changelog names what went, too."""
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")
METRIC = re.compile(r"(?<![:\w])plano_sidecar_[a-z0-9_]*[a-z0-9](?![:\w])")
ALERT = re.compile(r"\bPlanoSidecar[A-Za-z]+")
SUFFIXES = ("_bucket", "_sum", "_count")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _anchors(path: Path) -> set[str]:
    """The names by which GitHub links to a document's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_links_lead_somewhere(document):
    """To a file or folder of the repository, and to a heading that is there."""
    dead = []
    for link in LINK.findall(document.read_text()):
        place, _, anchor = link.partition("#")
        target = document.parent / place if place else document
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            dead.append(link)

    assert [] == dead


@pytest.mark.parametrize("document", OF_TODAY, ids=_name)
def test_metrics_and_alerts_that_are_named_exist(document):
    """The upgrade page says in a cell of its own what was."""
    text = document.read_text()
    if document.name == "UPGRADE.md":
        # In its tables the second cell is what was.
        text = "\n".join("|".join(line.split("|")[3:]) or line for line in text.splitlines())
    reference = (ROOT / "sidecar/telemetry/README.md").read_text()
    known = set(re.findall(r"^\| `(plano_sidecar_[a-z0-9_]+)` \|", reference, re.MULTILINE))
    rules = (ROOT / "deploy/prometheus/rules.yaml").read_text()
    alerts = set(re.findall(r"alert: (\w+)", rules))
    named = {_without_suffix(each, known) for each in METRIC.findall(text)}

    assert set() == named - known
    assert set() == set(ALERT.findall(text)) - alerts


def _without_suffix(name: str, known: set[str]) -> str:
    for suffix in SUFFIXES:
        if name not in known and name.endswith(suffix):
            return name.removesuffix(suffix)
    return name
