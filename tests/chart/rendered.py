"""The chart's objects as a real Helm engine renders them.

``python -m tests.chart.rendered DIR [KUBE_VERSION]`` writes each set of values as DIR/SET.yaml.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).parents[2] / "helm" / "plano-sidecar"
VERSIONS: Final = tuple(f"1.{minor}.0" for minor in range(28, 37))
"""Of Kubernetes."""
SETS: Final[dict[str, dict[str, Any]]] = {
    "default": {},
    "maximal": {
        "podMonitor": {"enabled": True, "labels": {"release": "kps"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "kps"}},
        "dashboard": {"enabled": True},
    },
}

Manifest = dict[str, Any]


def render(
    values: dict[str, Any] | None = None,
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
    return [each for text in yamls for each in yaml.safe_load_all(text) if each]


def render_texts(
    values: dict[str, Any] | None = None,
    kube_version: str = "1.33.0",
    chart: Path = CHART,
    **release: Any,
) -> dict[str, str]:
    """Return what each template gives, by its path; NOTES.txt among them."""
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
