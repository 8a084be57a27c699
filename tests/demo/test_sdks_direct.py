"""The demo provider speaks the real wire: the real SDKs cannot tell."""

from __future__ import annotations

import pytest

from sidecar.demo.provider import DEFAULT_MODELS, DemoProvider
from tests.support.sdk_matrix import SdkMatrix
from tests.support.sdks import Sdks

pytestmark = pytest.mark.asyncio(loop_scope="module")


class TestDirect(SdkMatrix):
    @pytest.fixture
    def base_url(self, shared_provider: DemoProvider) -> str:
        return shared_provider.url

    async def test_models(self, sdks: Sdks) -> None:
        """Each SDK reads the model list in its own provider's shape."""
        listed = (
            await sdks.pages(sdks.openai.models.list),
            await sdks.pages(sdks.anthropic.models.list),
        )
        assert [tuple(model.id for model in models) for models in listed] == [
            DEFAULT_MODELS,
            DEFAULT_MODELS,
        ]

    async def test_files(self, sdks: Sdks) -> None:
        """Files can be uploaded, listed, looked at and deleted."""
        files = sdks.openai.files
        made = await sdks.call(files.create, file=("a.jsonl", b"{}"), purpose="batch")
        deleted = await sdks.call(files.delete, file_id=made.id)
        assert ([f.id for f in await sdks.pages(files.list)], deleted.deleted) == ([made.id], True)
