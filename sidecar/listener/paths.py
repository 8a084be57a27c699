"""The paths of the data port: which are calls, which are passed through, their methods."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import unquote

from sidecar.config.api_paths import API_DIALECTS
from sidecar.domain.api_paths import api_path_of
from sidecar.domain.call import DialectName, Endpoint, Operation
from sidecar.domain.errors import MalformedRequest, MethodNotAllowed
from sidecar.routing.owners import NOBODY, REFUSED
from sidecar.wire.form import boundary_of

PROBES: Final = frozenset({"/", "/api/hello"})
"""Agents ask whether their gateway is there before they use it."""
MODELS: Final = "/v1/models"
DECISION_PREFIX: Final = "/routing"
"""Before the path of a call that is routed: katanemo's own way to ask which model it would be."""
_REFUSED_METHODS: Final = frozenset({"CONNECT", "TRACE"})
"""Served on no path: a tunnel would go around everything, an echo would tell credentials."""
_NOT_IN_PATH: Final = re.compile(r"[^A-Za-z0-9._~!$&'()*+,;=:@/%-]|%(?![0-9A-Fa-f]{2})")
"""RFC 3986, 3.3."""
_NOT_IN_QUERY: Final = re.compile(
    r"[^A-Za-z0-9._~!$&'()*+,;=:@/?%\[\]{}|\\^`-]|%(?![0-9A-Fa-f]{2})"
)
"""RFC 3986, 3.4, but for what the URL standard of browsers and of Node leaves as it is in a query:
``include[]=`` stands so in OpenAI's reference.
"""
_CLIMB: Final = re.compile(r"[/\\]\.{1,2}(?:[/\\;]|$)")
"""A dot segment, also as servers read it that take a backslash for a slash, or parameters off a
segment.
"""


class Paths:
    """The paths of one config.

    Args: ``endpoints`` are the POST paths whose bodies are understood; ``passthrough`` has (path
        prefix, provider), longest prefix first. ``serves`` tells whether any entry is known to
        serve a path of providers' APIs that is neither; None where the config refuses all of them.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        passthrough: tuple[tuple[str, str], ...],
        serves: Callable[[Endpoint], bool] | None = lambda _: False,
    ) -> None:
        self.calls: Final = endpoints
        self.unserved: Final = REFUSED if serves is None else NOBODY
        """Why a path of providers' APIs is not served that the config does not name."""
        self.decisions: Final = {
            f"{DECISION_PREFIX}{path}": endpoint
            for path, endpoint in endpoints.items()
            if endpoint.operation is Operation.GENERATE
        }
        self._passthrough = passthrough
        self._serves = serves

    def endpoint_of(self, path: str) -> Endpoint | None:
        """Return the endpoint in whose dialect an error on this path is written; None where the
        path does not tell.
        """
        found = self.calls.get(path) or self.decisions.get(path)
        if found is None and (api_path := api_path_of(path)) in API_DIALECTS:
            return Endpoint(path, API_DIALECTS[api_path], Operation.PASSTHROUGH)
        return found

    def api_endpoint(
        self, path: str, caller: DialectName, content_types: Sequence[str] = ()
    ) -> Endpoint | None:
        """Return the endpoint of a path that goes to a provider without being configured; None for
        any other, and where no entry is known to serve it.

        Args: ``caller`` is the dialect of the caller's SDK; ``content_types`` are the values of
            Content-Type of a request with a body, which may say for which model it is.
        """
        serves, api_path = self._serves, api_path_of(path)
        if serves is None or api_path is None or climbs(path):
            return None
        endpoint = Endpoint(
            path,
            API_DIALECTS.get(api_path, caller),
            Operation.PASSTHROUGH,
            api_path=api_path,
            names_model=api_path.names_model and any(map(_is_json, content_types)),
            form_boundary=boundary_of(content_types) if api_path.names_model else None,
        )
        return endpoint if serves(endpoint) else None

    def passthrough_of(self, path: str) -> str | None:
        """Return the provider to which requests to a path go untouched; None where they do not:
        what this sidecar serves by itself goes before a prefix.
        """
        is_own = path in self.calls or path in self.decisions or is_models(path) or path in PROBES
        return None if is_own else self.provider_of(path)

    def provider_of(self, path: str) -> str | None:
        """Return the provider to which the config passes a path through.

        None also for a path that climbs out of its prefix: the provider would serve another one.
        """
        if climbs(path):
            return None
        for prefix, provider in self._passthrough:
            if path == prefix or path.startswith(prefix + "/"):
                return provider
        return None


def check_target(path: str, query: str) -> None:
    """Refuse a target that different servers may read differently.

    Args: ``query`` is without its question mark.
    Raises: MalformedRequest for a character that must be percent-encoded, and for a percent sign
        that encodes none.
    """
    if _NOT_IN_PATH.search(path) is not None or _NOT_IN_QUERY.search(query) is not None:
        raise MalformedRequest(
            "the request's target holds a character that must be percent-encoded"
        )


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


def climbs(path: str) -> bool:
    """Whether a path has a dot segment, in any spelling: the provider would serve another one."""
    return _CLIMB.search(unquote(unquote(path))) is not None  # some servers decode twice


def is_models(path: str) -> bool:
    """Whether the path is the list of models, or one model's description."""
    return path == MODELS or path.startswith(MODELS + "/")


def check_method(method: str, path: str, allowed: str) -> None:
    """Raises: MethodNotAllowed where ``method`` is not in ``allowed``, a comma-separated list."""
    if method not in allowed.split(", "):
        raise MethodNotAllowed(
            f"{method} is not served on {path}; allowed: {allowed}", allow=allowed
        )


def refuse_tunnels(method: str, path: str) -> None:
    """Raises: MethodNotAllowed for a method that no path serves."""
    if method in _REFUSED_METHODS:
        check_method(method, path, "GET, HEAD, POST")
