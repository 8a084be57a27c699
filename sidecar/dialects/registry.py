"""The dialects that are served, and the list of models that the SDKs of all dialects can read.

A dialect is one module of this room and one row of `DIALECTS`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Final

import msgspec

from sidecar.dialects.base import Dialect, Turn
from sidecar.dialects.chat import Chat
from sidecar.dialects.embeddings import Embeddings
from sidecar.dialects.messages import Messages
from sidecar.dialects.responses import Responses
from sidecar.domain.call import Call


class DialectRegistry:
    """Finds a dialect by its name, by a path, and by the headers of an unknown path.

    The first dialect given is the one in which calls are refused that show none.
    """

    def __init__(self, dialects: Iterable[Dialect]) -> None:
        given = tuple(dialects)
        self.by_name: Final = {each.name: each for each in given}
        self.endpoints: Final = {
            endpoint.path: endpoint for each in given for endpoint in each.endpoints
        }
        """The POST paths whose bodies are understood."""
        self.homes: Final = {each.name: each.home_prefix for each in given}
        """For each dialect the provider prefix that serves a bare id where no config says."""
        self.cache_apart: Final = frozenset(each.name for each in given if each.is_cache_apart)
        """The dialects whose input tokens leave out those of the cache."""
        self._default = given[0]
        self._by_sdk_header = [(each.sdk_header, each) for each in given if each.sdk_header]

    def turns_of(
        self, call: Call, room_bytes: int | None
    ) -> Generator[None, None, tuple[Turn, ...]]:
        """Read the newest turns of a call's conversation, as `Dialect.turns`."""
        return self.by_name[call.endpoint.dialect].turns(call.body, call.facts, room_bytes)

    def is_newest_turn_signed(self, call: Call) -> bool:
        """Return whether the newest assistant turn of a call's conversation carries state that only
        its maker can read.
        """
        return self.by_name[call.endpoint.dialect].is_newest_turn_signed(call.body, call.facts)

    def without_signed_state(
        self, call: Call, refusal: bytes
    ) -> Generator[None, None, Call | None]:
        """Return a call without the state that only its maker can read; None where none can be left
        out. Args: as of `Dialect.without_signed_state`.
        """
        dialect = self.by_name[call.endpoint.dialect]
        body = yield from dialect.without_signed_state(call.body, call.facts, refusal)
        if body is None:
            return None
        facts = yield from dialect.peek_in_steps(body)
        return dataclasses.replace(call, body=body, facts=facts)

    def of_headers(self, header_values: Callable[[str], Sequence[str]]) -> Dialect:
        """Tell from its headers which dialect the caller of an unknown path reads.

        Args: ``header_values`` returns the values of the header field of a given name.
        """
        for name, dialect in self._by_sdk_header:
            if header_values(name):
                return dialect
        return self._default


DIALECTS: Final = DialectRegistry((Chat(), Responses(), Embeddings(), Messages()))


class ModelInfo(msgspec.Struct, frozen=True):
    """A configured model or alias, as ``/v1/models`` lists it."""

    id: str
    """What an app puts into ``model``."""
    owned_by: str
    """The provider prefix."""
    display_name: str | None = None
    """None: the id."""


class _Model(msgspec.Struct, frozen=True):
    """OpenAI's fields and Anthropic's. When a model was made is unknown here: both dates are the
    epoch.
    """

    id: str
    owned_by: str
    display_name: str
    object: str = "model"
    created: int = 0
    type: str = "model"
    created_at: str = "1970-01-01T00:00:00Z"


class _Models(msgspec.Struct, frozen=True):
    data: list[_Model]
    first_id: str | None
    last_id: str | None
    object: str = "list"
    has_more: bool = False


def models_body(models: Sequence[ModelInfo]) -> bytes:
    """Write the body of ``GET /v1/models``, in the order given: one page that both SDKs read."""
    data = [_model(model) for model in models]
    return msgspec.json.encode(
        _Models(data, first_id=data[0].id if data else None, last_id=data[-1].id if data else None)
    )


def model_body(model: ModelInfo) -> bytes:
    """Write the body of ``GET /v1/models/{id}``."""
    return msgspec.json.encode(_model(model))


def _model(model: ModelInfo) -> _Model:
    return _Model(model.id, model.owned_by, model.display_name or model.id)
