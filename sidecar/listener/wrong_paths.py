"""What an app is told whose path is not served: most have another base URL than their SDK wants."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Final

from sidecar.domain.api_paths import ApiPath, api_path_of
from sidecar.domain.call import Endpoint
from sidecar.domain.errors import PathNotFound
from sidecar.listener.paths import MODELS, climbs
from sidecar.routing.owners import NOBODY, not_served

_VERSION: Final = "/v1"
_SHOWN_CHARACTERS: Final = 200
_AZURES: Final = re.compile(r"(?:/v1)?(?:/openai)?/deployments/[^/]+/")
"""What Azure's SDKs put before each path: the name of a deployment."""


def path_not_found(
    path: str,
    endpoints: Mapping[str, Endpoint],
    transport: asyncio.Transport | None,
    unserved: str = NOBODY,
) -> PathNotFound:
    """Return the error for a path that is not served.

    Args: ``endpoints`` are the calls that are served, by path; ``transport`` is the app's, which
        knows at which port it has called; ``unserved`` is why a path of providers' APIs is not
        served.
    """
    fault = f"no such path: {path[:_SHOWN_CHARACTERS]}"
    if _AZURES.match(path) is not None:
        address = f"http://localhost{_port_of(transport)}{_VERSION}"
        return PathNotFound(
            f"{fault}; Azure's client asks so: use OpenAI's own, with the base URL {address}"
        )
    found = _meant(path, endpoints) or _meant_of_provider(path)
    if found is None:
        if api_path_of(path) is not None and not climbs(path):
            return not_served(path, unserved)
        return PathNotFound(
            f"{fault}; `passthrough` in the config names paths that go to a provider as they are"
        )
    served, base_path = found
    address = f"http://localhost{_port_of(transport)}{base_path}"
    return PathNotFound(
        f"{fault}; the base URL of this SDK must be the sidecar's address"
        f"{' and ' if base_path else ' alone'}{base_path}, as in {address}, which makes {served}"
    )


def _meant(path: str, endpoints: Mapping[str, Endpoint]) -> tuple[str, str] | None:
    """Return the served path that was meant, and the part of it that stands in the base URL of an
    SDK which asks so.
    """
    for served, endpoint in endpoints.items():
        if path.endswith(served.removeprefix(endpoint.base_path)):
            return served, endpoint.base_path
    for served in (*endpoints, MODELS):  # some SDKs of Anthropic's API want /v1 too
        if path == served.removeprefix(_VERSION) or path.endswith(_VERSION + served):
            return served, _VERSION
    return None


def _meant_of_provider(path: str) -> tuple[str, str] | None:
    """As `_meant`, of a path of providers' APIs that is no call."""
    own = path.removeprefix("/") if path.startswith("//") else path
    is_double = own.startswith(f"{_VERSION}{_VERSION}/")
    whole = own.removeprefix(_VERSION) if is_double else own
    whole = whole if whole.startswith(f"{_VERSION}/") else _VERSION + whole
    api_path = None if whole == path else api_path_of(whole)
    if api_path is None:
        return None
    # Of the SDKs that ask for these, Anthropic's alone put /v1 before the path themselves.
    is_alone = is_double and api_path is ApiPath.MESSAGE_BATCHES
    return api_path, "" if is_alone else _VERSION


def _port_of(transport: asyncio.Transport | None) -> str:
    """Return the port at which the app has reached this sidecar, with its colon; empty where the
    app is gone.
    """
    name = None if transport is None else transport.get_extra_info("sockname")
    return f":{name[1]}" if isinstance(name, tuple) and len(name) > 1 else ""
