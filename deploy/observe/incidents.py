"""What goes wrong, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from deploy.observe.scene import Scene

Change = Callable[[Scene], Awaitable[None]]


class Incident(NamedTuple):
    """How something is broken, and how it is mended."""

    what: str
    breaks: Change
    mends: Change


RATE_LIMITS: Final = Incident(
    "a storm of 429 from OpenAI, at both accounts",
    Scene.limit_rates,
    Scene.lift_limits,
)
PROVIDER_DOWN: Final = Incident(
    "Anthropic refuses connections",
    Scene.stop_anthropic,
    Scene.start_anthropic,
)
CERTIFICATE: Final = Incident(
    "Anthropic's certificate has expired",
    Scene.expire_certificate,
    Scene.start_anthropic,
)
ROUTER_DOWN: Final = Incident(
    "the router model refuses connections",
    Scene.stop_router,
    Scene.start_router,
)
WRONG_KEY: Final = Incident(
    "OpenAI refuses the key of one account, until the secret is rotated",
    Scene.revoke_key,
    Scene.rotate_key,
)
STREAM_CUTS: Final = Incident(
    "OpenAI's streams break off in the middle",
    Scene.cut_streams,
    Scene.lift_limits,
)
REDIS_GONE: Final = Incident(
    "Redis is gone, and comes back empty",
    Scene.kill_redis,
    Scene.restart_redis,
)


class Step(NamedTuple):
    """One incident of a script. Times are in seconds since its start."""

    begins_s: float
    ends_s: float
    incident: Incident


class Script(NamedTuple):
    """What happens in one run."""

    lasts_s: float
    calls_a_second: float
    steps: tuple[Step, ...]
    rules_faster: int = 1
    """By how much the ranges and waits of rules are shortened."""


USUAL: Final = Script(
    90.0,
    14.0,
    (
        Step(12, 20, RATE_LIMITS),
        Step(26, 34, PROVIDER_DOWN),
        Step(40, 47, ROUTER_DOWN),
        Step(53, 60, WRONG_KEY),
        Step(65, 71, STREAM_CUTS),
        Step(76, 82, REDIS_GONE),
    ),
)
NIGHT: Final = Script(
    146.0,
    14.0,
    (
        Step(8, 18, PROVIDER_DOWN),
        Step(28, 38, WRONG_KEY),
        Step(48, 58, CERTIFICATE),
        Step(68, 78, ROUTER_DOWN),
        Step(88, 98, REDIS_GONE),
        Step(108, 117, STREAM_CUTS),
        Step(127, 137, RATE_LIMITS),
    ),
    rules_faster=40,
)
"""An hour and a half in two minutes and a half; the rules are in a hurry too."""
SHORT: Final = Script(
    24.0,
    24.0,
    (
        Step(5, 7, RATE_LIMITS),
        Step(7, 9.5, PROVIDER_DOWN),
        Step(10, 13, ROUTER_DOWN),
        Step(13, 15, WRONG_KEY),
        Step(15, 17, STREAM_CUTS),
        Step(18, 20.5, REDIS_GONE),
    ),
)
"""For tests: something of everything."""


async def play(script: Script, scene: Scene, tell: Callable[[str], None]) -> None:
    """Break and mend what the script says, in its time.

    Args: ``tell`` hears of each change, in a few words.
    """
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    changes = [
        *(
            (step.ends_s, f"mended: {step.incident.what}", step.incident.mends)
            for step in script.steps
        ),
        *((step.begins_s, step.incident.what, step.incident.breaks) for step in script.steps),
    ]
    for at_s, what, change in sorted(changes, key=lambda each: each[0]):
        await asyncio.sleep(max(0.0, began_s + at_s - loop.time()))
        tell(what)
        await change(scene)
    await asyncio.sleep(max(0.0, began_s + script.lasts_s - loop.time()))
