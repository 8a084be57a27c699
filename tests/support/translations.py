"""A translation that a test can read: bodies say in words what was done to them."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence

from sidecar.domain.call import Call, DialectName
from sidecar.domain.decision import Candidate
from sidecar.domain.errors import InvalidBody, UpstreamMalformed
from sidecar.domain.translation import Fit, LostField
from sidecar.runtime.memory_budget import MIB

KNOWN, UNKNOWN = LostField("logprobs", is_known=True), LostField("new_field", is_known=False)


class PlainEvents:
    """Writes each chunk in capitals; one that contains ``nonsense`` it does not understand."""

    def __init__(self, lost: list[LostField]) -> None:
        self._lost = lost
        self.fed_bytes = 0

    @property
    def kept_bytes(self) -> int:
        return self.fed_bytes

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        self.fed_bytes += len(chunk)
        if b"nonsense" in chunk:
            raise UpstreamMalformed("not of its API")
        if b"thinking" in chunk:
            self._lost.append(LostField("thinking", is_known=True))
            return
        yield chunk.upper()

    def end(self) -> Iterator[bytes]:
        yield b"END"


class PlainAttempt:
    """Translates by writing in capitals."""

    def __init__(self, source: DialectName, fit: Fit) -> None:
        self.dialect = fit.dialect
        self.way = f"{source}>{fit.dialect}"
        self._lost = list(fit.lost)

    def whole_in_steps(
        self, body: bytes, *, is_stream_wanted: bool = False
    ) -> Generator[None, None, bytes]:
        yield
        if b"nonsense" in body:
            raise UpstreamMalformed("not of its API")
        return b"EVENTS" if is_stream_wanted else body.upper()

    def error(self, status: int, body: bytes) -> bytes:
        return b"%d: %b" % (status, body)

    def stream(self) -> PlainEvents:
        return PlainEvents(self._lost)

    def lost(self) -> Sequence[LostField]:
        return self._lost


class PlainTranslation:
    """A call whose losses are given by the candidates' entries."""

    def __init__(self, call: Call, fits: dict[str, Fit]) -> None:
        self._source = call.endpoint.dialect
        self._fits = fits
        self.asked: list[str] = []

    def fit(self, candidate: Candidate) -> Fit:
        self.asked.append(candidate.provider)
        usual = Fit(candidate.targets_of(self._source)[0])
        return self._fits.get(candidate.provider, usual)

    def attempt(self, candidate: Candidate) -> PlainAttempt:
        return PlainAttempt(self._source, self.fit(candidate))

    def body_in_steps(self, candidate: Candidate) -> Generator[None, None, bytes]:
        yield
        return json.dumps({"model": candidate.upstream_model}).encode()


class PlainReader:
    """Reads calls; counts how often. ``is_refusing``: as bodies that cannot be read."""

    def __init__(self, **fits: Fit) -> None:
        self.fits = fits
        self.reads = 0
        self.is_refusing = False

    async def load(self) -> PlainReader:
        return self

    def __call__(self, call: Call) -> Generator[None, None, PlainTranslation]:
        self.reads += 1
        yield
        if self.is_refusing:
            raise InvalidBody("messages must be a list")
        return PlainTranslation(call, self.fits)


class BodyRoomOf:
    """Memory of bodies, as much as a test wants."""

    def __init__(self, longest_bytes: int = MIB) -> None:
        self.longest_bytes = longest_bytes
        self.taken_bytes = 0

    async def take(self, size: int) -> None:
        self.taken_bytes += size

    def give_back(self, size: int) -> None:
        self.taken_bytes -= size
