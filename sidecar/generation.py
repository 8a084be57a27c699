"""What one config makes, and what metrics say of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from sidecar.config.load import LoadedConfig
from sidecar.domain.decision import Candidate
from sidecar.listener.handlers import DataHandler
from sidecar.routing.preferences import Routes
from sidecar.routing.router import RouteClassifier
from sidecar.routing.sources import MetricsSources
from sidecar.selection.selector import ModelSelector
from sidecar.upstream.credential_reload import CredentialReloader


class Generation(msgspec.Struct, frozen=True):
    """What one config makes. It owns no connection and no port."""

    loaded: LoadedConfig
    handler: DataHandler
    selector: ModelSelector
    routes: Routes
    sources: MetricsSources
    closes: tuple[Callable[[], Awaitable[None]], ...]
    """In the order in which they are to be called."""
    credentials: CredentialReloader
    classifier: RouteClassifier | None
    """What asks the router model; None without one."""
    number: int
    """1 for the first config of the process, one more for each that replaced it."""
    since_unix_s: float
    """When it was made."""

    @property
    def is_breaker_open(self) -> bool:
        """Whether the router model failed too often, and is only probed."""
        return self.classifier is not None and self.classifier.is_breaker_open

    def candidates(self) -> list[tuple[str, str]]:
        """Return (entry, model as the config names it) of every candidate, each once."""
        return [(each.name, each.model) for each in self.loaded.providers if not each.is_router]

    def serving_by_route(self, is_cooling: Callable[[Candidate], bool]) -> list[tuple[str, int]]:
        """Return each route in effect and how many of its candidates do not cool."""
        return [
            (route.name, sum(not is_cooling(each) for each in route.candidates))
            for route in self.routes.in_effect
        ]

    def source_ages_s(self, now_s: float) -> list[tuple[str, float]]:
        """Return each price source and the age of its numbers in seconds."""
        return [(each.provider, each.age_s) for each in self.sources.statuses(now_s)]

    async def aclose(self) -> None:
        """End what still runs. For a generation whose last call has ended. Idempotent."""
        for close in self.closes:
            await close()
