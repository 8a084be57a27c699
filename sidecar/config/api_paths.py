"""Which entries the paths of providers' APIs that are no calls can be meant for. Pure."""

from __future__ import annotations

from typing import Final

from sidecar.config.conventions import HeaderFamily
from sidecar.config.providers import Provider
from sidecar.domain.api_paths import ApiPath
from sidecar.domain.call import MESSAGES, RESPONSES, DialectName

API_DIALECTS: Final = {
    ApiPath.COMPACT: RESPONSES,
    ApiPath.INPUT_TOKENS: RESPONSES,
    ApiPath.STORED_RESPONSES: RESPONSES,
    ApiPath.CONVERSATIONS: RESPONSES,
    ApiPath.MESSAGE_BATCHES: MESSAGES,
}
"""The dialects that such paths belong to. Of any other one the caller's SDK tells."""


def is_known_to_serve(entry: Provider, api_path: ApiPath, dialect: DialectName) -> bool:
    """Return whether an entry serves a path, asked for by an SDK of a dialect, as its family's row
    says. OpenAI's and Anthropic's ``/v1/files`` are two APIs.
    """
    return api_path in entry.conventions.api_paths and is_of_kind(entry, dialect)


def is_of_kind(entry: Provider, dialect: DialectName) -> bool:
    """Return whether the rest of an entry's API is of the kind that an SDK of a dialect expects."""
    is_anthropics = entry.conventions.header_family is HeaderFamily.ANTHROPIC
    return is_anthropics == (dialect == MESSAGES)
