"""What admits only restricted pods in a real API server minds the very same as the checker by which all other tests go."""

from __future__ import annotations

import pytest

from tests.cluster.api import Refused
from tests.support.pod_security import violations
from tests.support.test_pod_security import CASES, RESTRICTED, changed

INVALID = {
    f"containers.0.securityContext.{key}" for key in ("windowsOptions", "privileged", "procMount")
}
"""In this pod they contradict other fields, so that no namespace would take it."""


def test_a_restricted_pod_is_admitted(api, namespace):
    """Without a warning."""
    assert [] == violations(RESTRICTED)
    assert [] == api.create_pod(RESTRICTED, namespace).warnings


@pytest.mark.parametrize(("path", "value"), [case[:2] for case in CASES])
def test_what_the_checker_minds_is_refused(api, namespace, path, value):
    """By admission, which comes after validation."""
    spec = changed(path, value)

    with pytest.raises(Refused) as refused:
        api.create_pod(spec, namespace)

    assert violations(spec)
    assert (422 if path in INVALID else 403) == refused.value.status
    assert path in INVALID or "violates PodSecurity" in str(refused.value)


def test_a_workload_with_other_pods_is_warned_of(api, namespace):
    """So tests that see no warning tell something."""
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": changed("hostPID", True)}
    workload = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }

    (warning,) = api.apply(workload, namespace, dry_run=True).warnings

    assert "would violate PodSecurity" in warning
