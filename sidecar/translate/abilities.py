"""What a model at the other end can do, as far as a request's form depends on it."""

from __future__ import annotations

import msgspec


class Abilities(msgspec.Struct, frozen=True):
    """What one target takes. The defaults are what an API documents, for models of which no more is
    known.
    """

    has_json_schema: bool = True
    """Whether it can be held to a JSON Schema."""
    has_json_object: bool = True
    """Whether it can be held to any JSON object."""
    has_strict_tools: bool = True
    refuses_bounds: bool = False
    """Whether a schema that it is held to must not bound numbers, lengths or counts."""
    refuses_open: bool = False
    """Whether such a schema must require each member of each object, and allow no other."""
    has_tools: bool = True
    has_forced_tools: bool = True
    has_single_calls: bool = True
    """Whether it can be told to call one tool at a time."""
    calls_without_effort: bool = False
    """Whether it calls tools only where it does not reason."""
    has_images: bool = True
    has_documents: bool = True
    has_other_documents: bool = True
    """Files as base64 that are no PDFs."""
    has_document_urls: bool = True
    has_details: bool = True
    """Whether it can be told how closely to look at an image."""
    has_failed_results: bool = False
    """Whether a tool's result can say that the tool failed."""
    has_output_descriptions: bool = True
    has_prefill: bool = True
    """Whether it goes on with a turn of the assistant's."""
    has_stop: bool = True
    stops_at_most: int = 1000
    has_blank_stops: bool = True
    """Whether a stop sequence may be blank, such as a line end."""
    max_temperature: float | None = 2
    """The highest one; None: none may be named."""
    has_top_p: bool = True
    has_top_p_beside_temperature: bool = True
    has_top_k: bool = False
    efforts: tuple[str, ...] = ()
    """Its words for how much to reason, the least first."""
    off: str | None = ""
    """The word that turns reasoning off; empty: it does not reason unless it is asked to; None: it
    cannot be turned off.
    """
    max_tokens: int | None = None
    """The highest limit of a response that it takes; None: not known."""
    min_tokens: int = 1
    default_tokens: int = 0
    """The limit where the request names none; 0: none is needed."""
    max_tokens_name: str = "max_tokens"
    service_tiers: tuple[str, ...] = ()
    """OpenAI's words for those that it takes."""
    has_users: bool = False
    has_openai_members: bool = False
    """Whether it takes what only OpenAI's own API has: cache keys, verbosity and the like."""
    has_verbosity: bool = False
    has_cache_marks: bool = False
    has_cache_ttls: bool = False
    has_developer_role: bool = False
    has_late_system: bool = True
    """Whether a system text may stand behind a user's turn."""
    has_strict_order: bool = False
    """Whether one system text must be first, and user and assistant must take turns."""
    has_text_parts: bool = True
    """Whether a message's content may be a list of texts."""
    has_stream_usage: bool = True
    """Whether a stream of chat tells its usage only where it is asked to."""
