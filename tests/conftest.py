"""Fixtures for all tests."""

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.fixtures"]

# How long an example takes says more of the machine than of the code. `make pure` draws the same examples each time, so that
# more of them find nothing new: `make fuzz` looks on.
settings.register_profile(
    "untimed", deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")

# A shell that starts tests in the background has them ignore Ctrl-C, and so would all processes
# that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST = (
    "deploy/test_readme_installs.py",
    "deploy/test_image.py",
    "flow/test_drain.py",
    "flow/test_pods.py",
    "flow/test_reload.py",
    "flow/test_redis_outages.py",
    "flow/test_conversations.py",
    "monitoring/test_alerts.py",
    "browser/test_live_page.py",
    "observe/test_live.py",
    "flow/test_disconnect.py",
    "deploy/test_compile_hook.py",
    "flow/test_truncated_responses.py",
    "flow/test_demo_command.py",
    "flow/test_tracing_process.py",
    "flow/test_access_log.py",
    "flow/test_dead_connections.py",
    "contract/affinity/test_lasting.py",
    "contract/affinity/test_link.py",
    "flow/test_moving.py",
)
"""Files that begin first, where several run at a time: one that begins last is waited for alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let those files be first, all others in the order of their names."""
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
