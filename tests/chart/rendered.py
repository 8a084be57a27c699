"""The chart's objects as a real Helm engine renders them.

``python -m tests.chart.rendered DIR [KUBE_VERSION]`` writes each set of values as DIR/SET.yaml.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).parents[2] / "helm" / "plano-sidecar"
SHOP: Final = Path(__file__).parent / "shop"
"""An app's chart that has this one as a dependency."""
VERSIONS: Final = tuple(f"1.{minor}.0" for minor in range(28, 37))
"""Of Kubernetes."""

Manifest = dict[str, Any]
Values = dict[str, Any]

MINIMAL: Final[Values] = {
    "config": {
        "model_providers": [
            {"model": "vllm/llama", "base_url": "http://vllm:8000", "default": True}
        ]
    },
    "secrets": [],
    "check": {"enabled": False},
}
"""A model server in the cluster, which needs no key."""
MAXIMAL: Final[Values] = {
    "nameOverride": "llm",
    "image": {
        "repository": "registry.example.com/llm/plano-sidecar",
        "digest": f"sha256:{'0' * 64}",
        "pullPolicy": "Always",
    },
    "imagePullSecrets": [{"name": "registry"}],
    "config": {
        "listeners": [{"type": "model", "name": "llm", "port": 12100}],
        "admin": {"port": 9911, "operator_address": "127.0.0.1:9921"},
        "model_providers": [
            {
                "model": "openai/gpt-4o-mini",
                "access_key": "${file:/var/run/secrets/plano-sidecar/openai}",
                "default": True,
                "tls": {"ca_file": "/etc/plano-sidecar-ca/ca.crt"},
            },
            {
                "model": "anthropic/claude-sonnet-5",
                "access_key": "${file:/var/run/secrets/plano-sidecar/anthropic-key}",
            },
            {"model": "plano/router", "base_url": "${ROUTER_URL:-http://router.llm:8000}"},
        ],
        "model_aliases": {"fast": {"target": "openai/gpt-4o-mini"}},
        "routing_preferences": [
            {
                "name": "code",
                "description": "writing code, for less than $5",
                "models": ["anthropic/claude-sonnet-5", "openai/gpt-4o-mini"],
            }
        ],
        "overrides": {"llm_routing_model": "plano/router"},
        "drain": {"quiet_s": 2, "grace_s": 54.5},
        "limits": {"body_bytes": 33554432},
        "logging": {"level": "warning", "format": "json"},
        "tracing": {"random_sampling": 1, "otlp_endpoint": "http://otel.monitoring:4318"},
    },
    "secrets": [
        {"name": "plano-sidecar-keys"},
        {"name": "claude", "items": [{"key": "key", "path": "anthropic-key"}], "optional": True},
    ],
    "extraEnv": [{"name": "ROUTER_URL", "value": "http://router.llm:8000"}],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "company-ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/plano-sidecar-ca", "readOnly": True}],
    "podLabels": {"team": "shop"},
    "podAnnotations": {"example.com/owner": "shop"},
    "mesh": "istio",
    "check": {"missingFiles": "fail"},
    "podMonitor": {"enabled": True, "labels": {"release": "kps"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "kps"}},
    "dashboard": {"enabled": True},
    "networkPolicy": {
        "enabled": True,
        "otherPorts": "allow",
        "extraFrom": [{"ipBlock": {"cidr": "2001:db8::/64"}}],
    },
    "redis": {"enabled": True, "passwordSecret": {"name": "pins"}},
    "example": {
        "enabled": True,
        "replicas": 2,
        "serviceAccountName": "shop",
        "job": {"enabled": True},
    },
}
"""Everything that the chart can install, with nothing left at its default that matters."""
SETS: Final[dict[str, Values]] = {
    "default": {},
    "minimal": MINIMAL,
    "example": yaml.safe_load((CHART / "example.yaml").read_text()),
    "maximal": MAXIMAL,
}


def require_engine() -> None:
    """Skip the module that asks, where Helm's engine is not installed; where CI demands it, do
    not.
    """
    is_demanded = os.environ.get("SIDECAR_REQUIRE_CHART") == "1"
    if importlib.util.find_spec("helm_python") is None and not is_demanded:
        import pytest

        pytest.skip("no Helm engine: `make chart` has it", allow_module_level=True)


def render(
    values: Values | None = None,
    kube_version: str = "1.33.0",
    chart: Path = CHART,
    **release: Any,
) -> list[Manifest]:
    """Return every object, hooks included, as ``helm template`` would print them.

    Args: ``values`` go over the chart's own, as those of ``--values`` do; ``release`` are the
        engine's ``name``, ``namespace``, ``is_upgrade``, ``revision``.
    Raises: helm_python.HelmError, where the values do not fit the schema or a template fails.
    """
    texts = render_texts(values, kube_version, chart, **release)
    yamls = [text for name, text in sorted(texts.items()) if name.endswith(".yaml")]
    # The parser in C: rules and dashboard are long.
    return [each for text in yamls for each in yaml.load_all(text, yaml.CSafeLoader) if each]


def render_texts(
    values: Values | None = None,
    kube_version: str = "1.33.0",
    chart: Path = CHART,
    **release: Any,
) -> dict[str, str]:
    """Return what each template gives, by its path; NOTES.txt among them. A key that a template
    reads and no value has is an error.
    """
    from helm_python import _native

    named = {"name": "web", "namespace": "shop", **release}
    options = {"kube_version": f"v{kube_version}", "strict": True, **named}
    arguments = (json.dumps(values or {}), json.dumps(options))
    # The public `render` takes no Kubernetes version.
    rendered: dict[str, str] = json.loads(
        _native.call_string("helm_render", _chart(chart)._raw(), *arguments)
    )
    return rendered


def rendered_sets(kube_version: str = "1.33.0") -> dict[str, list[Manifest]]:
    """Return the objects of each of `SETS`."""
    return {name: render(values, kube_version) for name, values in SETS.items()}


def one(objects: list[Manifest], kind: str, suffix: str = "") -> Manifest:
    """Return the only object of a kind, or the only one whose name ends so."""
    (found,) = [
        each
        for each in objects
        if each["kind"] == kind and each["metadata"]["name"].endswith(suffix)
    ]
    return found


def config_of(objects: list[Manifest]) -> dict[str, Any]:
    """Return the sidecar's config as the release's own ConfigMap holds it."""
    texts = [
        each["data"]["config.yaml"]
        for each in objects
        if "config.yaml" in each.get("data", {}) and not hook_of(each)
    ]
    (text,) = texts
    config: dict[str, Any] = yaml.safe_load(text)
    return config


def hook_of(manifest: Manifest) -> str:
    """Return when Helm runs an object as a hook; empty where it does not."""
    hook: str = manifest["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    return hook


def sidecar_of(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the sidecar's container from a pod's spec."""
    (found,) = [
        each
        for each in pod.get("initContainers", []) + pod["containers"]
        if each["name"] == "plano-sidecar"
    ]
    assert isinstance(found, dict)
    return found


def shop_chart(folder: Path, dependencies: list[dict[str, str]] | None = None) -> Path:
    """Write the app's chart into a folder, with this one unpacked below its charts/.

    Args: ``dependencies`` go in the place of its own.
    """
    made = folder / "shop"
    shutil.copytree(SHOP, made)
    shutil.copytree(CHART, made / "charts" / "plano-sidecar")
    if dependencies is not None:
        file = made / "Chart.yaml"
        text = yaml.safe_load(file.read_text()) | {"dependencies": dependencies}
        file.write_text(yaml.safe_dump(text))
    return made


@cache
def _chart(path: Path) -> Any:
    from helm_python import Chart

    return Chart.load(path)


def _main() -> None:
    folder, *versions = sys.argv[1:]
    for name, objects in rendered_sets(*versions).items():
        (Path(folder) / f"{name}.yaml").write_text(yaml.safe_dump_all(objects))


if __name__ == "__main__":
    _main()
