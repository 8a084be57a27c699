"""The paths of providers' APIs that are known without being configured."""

from __future__ import annotations

import pytest

from sidecar.domain.api_paths import ApiPath, api_path_of


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/responses/compact", ApiPath.COMPACT),
        ("/v1/responses/input_tokens", ApiPath.INPUT_TOKENS),
        ("/v1/responses/resp_1", ApiPath.STORED_RESPONSES),
        ("/v1/responses/resp_1/input_items", ApiPath.STORED_RESPONSES),
        ("/v1/responses/compacted", ApiPath.STORED_RESPONSES),
        ("/v1/conversations", ApiPath.CONVERSATIONS),
        ("/v1/conversations/c/items/i", ApiPath.CONVERSATIONS),
        ("/v1/moderations", ApiPath.MODERATIONS),
        ("/v1/completions", ApiPath.COMPLETIONS),
        ("/v1/images/generations", ApiPath.IMAGES),
        ("/v1/audio/transcriptions", ApiPath.AUDIO),
        ("/v1/files", ApiPath.FILES),
        ("/v1/files/f/content", ApiPath.FILES),
        ("/v1/uploads/u/parts", ApiPath.UPLOADS),
        ("/v1/batches/b/cancel", ApiPath.BATCHES),
        ("/v1/batch/jobs", ApiPath.BATCH_JOBS),
        ("/v1/vector_stores/v/search", ApiPath.VECTOR_STORES),
        ("/v1/messages/batches/b/results", ApiPath.MESSAGE_BATCHES),
        ("/v1/messages/other", None),
        ("/v1/filesystem", None),
        ("/v1/fine_tuning/jobs", None),
        ("/files", None),
        ("/v2/files", None),
        ("", None),
    ],
)
def test_the_longest_path_that_fits_counts(path, expected):
    """A path belongs to what it is below, and to nothing that only begins like it."""
    assert expected is api_path_of(path)


def test_what_belongs_to_a_session_and_what_names_a_model():
    """Stored responses and conversations are kept by who made them; a JSON body names a model where
    the API wants one.
    """
    assert {
        ApiPath.COMPACT,
        ApiPath.INPUT_TOKENS,
        ApiPath.STORED_RESPONSES,
        ApiPath.CONVERSATIONS,
    } == {each for each in ApiPath if each.is_of_session}
    assert {
        ApiPath.COMPACT,
        ApiPath.INPUT_TOKENS,
        ApiPath.MODERATIONS,
        ApiPath.COMPLETIONS,
        ApiPath.IMAGES,
        ApiPath.AUDIO,
    } == {each for each in ApiPath if each.names_model}
