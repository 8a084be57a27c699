"""The paths of providers' APIs beside the calls that are understood: what is known of each."""

from __future__ import annotations

import enum
from typing import Final


class ApiPath(enum.StrEnum):
    """A part of a provider's API that no config has to name. The value is its path; all that is
    below belongs to it, too.
    """

    COMPACT = "/v1/responses/compact"
    INPUT_TOKENS = "/v1/responses/input_tokens"
    STORED_RESPONSES = "/v1/responses"
    """Below it alone: the path itself is a call."""
    CONVERSATIONS = "/v1/conversations"
    MODERATIONS = "/v1/moderations"
    COMPLETIONS = "/v1/completions"
    IMAGES = "/v1/images"
    AUDIO = "/v1/audio"
    FILES = "/v1/files"
    """OpenAI's, or Anthropic's: the caller's SDK tells."""
    UPLOADS = "/v1/uploads"
    BATCHES = "/v1/batches"
    BATCH_JOBS = "/v1/batch"
    """Mistral's."""
    VECTOR_STORES = "/v1/vector_stores"
    MESSAGE_BATCHES = "/v1/messages/batches"

    __hash__ = str.__hash__

    @property
    def is_of_session(self) -> bool:
        """Whether what it is about is kept by the provider that served the session."""
        return self in _OF_A_SESSION

    @property
    def names_model(self) -> bool:
        """Whether a JSON body of it names a model."""
        return self in _NAMING_A_MODEL


_OF_A_SESSION: Final = frozenset(
    {ApiPath.COMPACT, ApiPath.INPUT_TOKENS, ApiPath.STORED_RESPONSES, ApiPath.CONVERSATIONS}
)
_NAMING_A_MODEL: Final = frozenset(
    {
        ApiPath.COMPACT,
        ApiPath.INPUT_TOKENS,
        ApiPath.MODERATIONS,
        ApiPath.COMPLETIONS,
        ApiPath.IMAGES,
        ApiPath.AUDIO,
    }
)
_LONGEST_FIRST: Final = sorted(ApiPath, key=len, reverse=True)


def api_path_of(path: str) -> ApiPath | None:
    """Return the part of an API to which a path belongs; None where it is none that is known."""
    for each in _LONGEST_FIRST:
        if path.startswith(each) and path[len(each) :][:1] in ("", "/"):
            return each
    return None
