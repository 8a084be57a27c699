"""Holds a rendered object against the schema that its API server has for it, strictly: an unknown
field is an error, as it is for a server-side apply.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

_CRDS = Path(__file__).parent / "crds"
OPERATOR = "monitoring.coreos.com/v1"


def validate(manifest: dict[str, Any], kube_version: str) -> None:
    """Check one object. Raises: the validator's own error, which names the place."""
    import kubernetes_validate

    if manifest["apiVersion"] == OPERATOR:
        _crd(manifest["kind"]).validate(manifest)
    else:
        kubernetes_validate.validate(manifest, kube_version.rpartition(".")[0], strict=True)


@cache
def _crd(kind: str) -> jsonschema.Draft7Validator:
    schema = json.loads((_CRDS / f"{kind.lower()}.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)
