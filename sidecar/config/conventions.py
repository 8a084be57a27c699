"""What a provider family's row says; the rows are in `families`. Pure.

A family is named before the slash of a model, such as ``openai``. Its row says where the provider
is, under which paths it serves which dialects, how it wants a key, and which of the app's headers
it understands. A new family is a new row; another way to carry a key is a `CredentialStyle` in it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import Final

import msgspec

from sidecar.domain.api_paths import ApiPath
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, DialectName

AZURE_API_VERSION: Final = "api-version=2025-01-01-preview"
"""What plano sends where the query of the base URL names no other version."""

ANTHROPIC_VERSION: Final = "anthropic-version: 2023-06-01\r\n"
"""The only version that Anthropic has published."""

ROUTER_DIALECT: Final = CHAT
"""In what the router model is asked, whichever provider serves it."""

_ENDS: Final = {
    CHAT: "/chat/completions",
    RESPONSES: "/responses",
    EMBEDDINGS: "/embeddings",
}
"""How the paths of OpenAI's dialects end, at OpenAI and at compatible providers."""

_AZURE_MESSAGES: Final = "/anthropic/v1/messages"
_AZURE_DEPLOYMENT: Final = "/openai/deployments/{model}"
_NO_SEGMENT: Final = re.compile(r"[/\\%]|\A\.{1,2}(?:;|\Z)")
"""What some servers read as another path, however it is quoted: a slash, an escape, a dot segment.
"""


class DialectKey(enum.StrEnum):
    """The dialects that ``model_providers[].dialects`` may name: those of `dialects.registry`."""

    CHAT = "chat"
    RESPONSES = "responses"
    EMBEDDINGS = "embeddings"
    MESSAGES = "messages"


class HeaderFamily(enum.StrEnum):
    """Which of the app's own headers a provider understands, and gets."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class CredentialStyle(msgspec.Struct, frozen=True):
    """The header that carries an entry's key."""

    header: str
    before_key: str = ""

    def line(self, key: str) -> str:
        r"""Return the header line, line end included."""
        return f"{self.header}: {self.before_key}{key}\r\n"


BEARER: Final = CredentialStyle("Authorization", "Bearer ")
X_API_KEY: Final = CredentialStyle("x-api-key")
API_KEY: Final = CredentialStyle("api-key")
X_GOOG_API_KEY: Final = CredentialStyle("x-goog-api-key")


class ProviderPaths(msgspec.Struct, frozen=True):
    """The paths at which one provider serves each dialect."""

    base: str
    """What takes the place of ``/v1`` in a passthrough path."""
    by_dialect: dict[DialectName, str]
    """Full paths, with a query at Azure; may hold ``{model}``."""

    @property
    def count_tokens(self) -> str | None:
        """Path of Anthropic's token counter, below that of messages; None without messages."""
        messages = self.by_dialect.get(MESSAGES)
        if messages is None:
            return None
        path, mark, query = messages.partition("?")
        return f"{path}/count_tokens{mark}{query}"


def openai_paths(base_path: str, _query: str = "") -> ProviderPaths:
    """Return the paths below ``base_path``; ``/v1/messages`` follows it, but never ``/v1/v1``."""
    paths = {dialect: base_path + end for dialect, end in _ENDS.items()}
    paths[MESSAGES] = f"{base_path.removesuffix('/v1')}/v1/messages"
    return ProviderPaths(base_path, paths)


def openai_paths_with(messages: str, built_in: str = "/v1") -> Callable[[str, str], ProviderPaths]:
    """Return what makes the paths of a provider that serves ``messages`` beside its other paths,
    not below them.

    Args: ``messages`` is the full path where no base URL is configured; ``built_in`` is the base
        path then. A configured base path that ends with ``built_in`` or ``/v1`` has messages where
        that would be without this end.
    """

    def paths(base_path: str, query: str = "") -> ProviderPaths:
        made = openai_paths(base_path, query)
        above = base_path.removesuffix(built_in).removesuffix("/v1")
        return ProviderPaths(base_path, {**made.by_dialect, MESSAGES: above + messages})

    return paths


def anthropic_paths(base_path: str, _query: str = "") -> ProviderPaths:
    """As `openai_paths`, but a base URL ends before the ``/v1`` that every path begins with."""
    return openai_paths(f"{base_path.removesuffix('/v1')}/v1")


def azure_paths(base_path: str, query: str = "") -> ProviderPaths:
    """As `openai_paths`, but by deployment and with an API version, unless the base URL is Azure's
    newer ``/openai/v1``.

    Source: https://learn.microsoft.com/azure/ai-services/openai/reference
    """
    if base_path.endswith("/v1"):
        newer = openai_paths(base_path)
        newer.by_dialect[MESSAGES] = _AZURE_MESSAGES
        return newer
    version = f"?{query or AZURE_API_VERSION}"
    by_deployment = base_path if base_path not in {"", "/openai"} else _AZURE_DEPLOYMENT
    paths = {dialect: f"{by_deployment}{end}{version}" for dialect, end in _ENDS.items()}
    paths[RESPONSES] = f"/openai/responses{version}"
    paths[MESSAGES] = _AZURE_MESSAGES
    return ProviderPaths("/openai/v1", paths)


class CacheHints(msgspec.Struct, frozen=True):
    """By what a provider knows that calls go on with one prompt, so that it serves them where that
    is cached.
    """

    headers: tuple[str, ...] = ()
    """The app's own that it is sent as they came, in lower case."""
    made: str | None = None
    """The one of them that is made of the session where the app sends none."""
    member_in: tuple[DialectName, ...] = ()
    """The dialects in whose bodies it reads ``prompt_cache_key``."""


class Conventions(msgspec.Struct, frozen=True):
    """One family's row."""

    origin: str | None = None
    """``https://host``; None where only the operator knows it."""
    base_path: str = "/v1"
    """What applies where a base URL has no path."""
    key_variable: str | None = None
    """The environment variable that the provider's own documentation uses. It is read only where
    there is no config file.
    """
    dialects: tuple[DialectName, ...] = (CHAT, EMBEDDINGS)
    """What an entry speaks that does not say it."""
    paths: Callable[[str, str], ProviderPaths] = openai_paths
    """Makes the paths from a base path and the query of a base URL."""
    claude_dialects: tuple[DialectName, ...] | None = None
    """What models with ``claude`` in their id speak; None where they speak what all others do."""
    credential: CredentialStyle = BEARER
    messages_credential: CredentialStyle | None = None
    """What carries the key to messages; None: ``credential`` does."""
    native_credential: CredentialStyle | None = None
    """What carries the key to passthrough paths beside ``base_path``, where the provider has an API
    of its own; None: ``credential`` does.
    """
    header_family: HeaderFamily = HeaderFamily.OPENAI
    api_paths: frozenset[ApiPath] = frozenset()
    """What it serves beside calls, as far as that is sure; it is sent there without being
    configured.
    """
    cache_hints: CacheHints = CacheHints()
    decisions_path: str | None = None
    """Where a decision model is asked; None: at ``/systemone`` below the base path."""
    version_lines: dict[DialectName, str] = msgspec.field(
        default_factory=lambda: {MESSAGES: ANTHROPIC_VERSION}
    )
    r"""A header line, ``\r\n`` included, for calls of a dialect in which the app named no version
    of the API.
    """
    tells_usage_if_asked: bool = False
    """Whether its chat streams tell their usage with ``stream_options.include_usage``, and only
    then. Of one that tells it in any case, nothing may be taken out of a stream.
    """
    is_router: bool = False
    """Whether its models are router models, which no app may ask for."""
    is_host: bool = False
    """Whether it serves other families' interfaces in its own way: by its own paths, base URLs with
    a query, and its own credential style, unless the interface is Anthropic's.
    """

    def spoken_by(self, model_id: str) -> tuple[DialectName, ...]:
        """Return what a model speaks whose entry does not say it. A wildcard's ``*`` stands for
        models of every kind.
        """
        if self.claude_dialects is None:
            return self.dialects
        if model_id == "*":
            return (*self.dialects, *self.claude_dialects)
        return self.claude_dialects if "claude" in model_id.lower() else self.dialects

    def credential_for(self, dialect: DialectName) -> CredentialStyle:
        """Return what carries the key of a call in this dialect."""
        if dialect == MESSAGES and self.messages_credential is not None:
            return self.messages_credential
        return self.credential

    def header_family_for(self, dialect: DialectName) -> HeaderFamily:
        """Return whose headers a call in this dialect may bring: who serves Anthropic's API
        understands its headers.
        """
        return HeaderFamily.ANTHROPIC if dialect == MESSAGES else self.header_family

    def base_path_for(self, path: str) -> str:
        """Return the base path of a base URL with this path. Without one, or with the family's own
        but for its ``/v1``, as other SDKs want it, that is the family's.
        """
        return self.base_path if not path or f"{path}/v1" == self.base_path else path

    def telling_usage_if_asked(self) -> Conventions:
        """Return the row of a provider with `tells_usage_if_asked`."""
        return msgspec.structs.replace(self, tells_usage_if_asked=True)

    def serving(self, *api_paths: ApiPath) -> Conventions:
        """Return the row of a family that serves these paths beside calls."""
        return msgspec.structs.replace(self, api_paths=frozenset(api_paths))

    def hinted(
        self, *headers: str, made: str | None = None, member_in: tuple[DialectName, ...] = ()
    ) -> Conventions:
        """Return the row of a family that has these hints for its prompt cache."""
        names = (*headers, made) if made is not None else headers
        return msgspec.structs.replace(self, cache_hints=CacheHints(names, made, member_in))

    def speaking(self, interface: Conventions) -> Conventions:
        """Return the row of an entry of this family that names an interface: what is spoken is the
        interface's, the address stays this family's.
        """
        if not self.is_host:
            return msgspec.structs.replace(interface, origin=self.origin)
        is_own = interface.credential is BEARER
        return msgspec.structs.replace(
            interface,
            origin=self.origin,
            base_path=self.base_path,
            paths=self.paths,
            credential=self.credential if is_own else interface.credential,
        )


def family_of(model: str) -> str:
    """Return the part of a model's name before its first slash."""
    return model.partition("/")[0]


def fits_path(model_id: str) -> bool:
    """Return whether a model's id may take the place of ``{model}`` in a path: every server reads
    it as one segment.
    """
    return _NO_SEGMENT.search(model_id) is None
