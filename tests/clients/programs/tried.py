"""What the Python programs beside this one have in common: what they say, and how they tell what
came of it.
"""

import asyncio
import inspect
import json

ASK = "How is it going?"
USE_TOOL = 'How is the weather? [[call weather {"city": "Oslo"}]]'
FORECAST = "sunny, 21 degrees"

_LOOP = asyncio.Runner()
"""One for all: clients keep connections between cases."""


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"{FORECAST} in {city}"


WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def tried(function):
    """Run a function, a coroutine's too, and print what it returns, or how it failed."""
    try:
        value = function()
        value = _LOOP.run(value) if inspect.iscoroutine(value) else value
        outcome = {"value": value}
    except Exception as error:
        outcome = {"error": f"{type(error).__name__}: {error}"}
    print("TRIED", json.dumps({"case": function.__name__, **outcome}), flush=True)
