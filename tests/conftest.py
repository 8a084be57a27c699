"""Fixtures for all tests."""

import signal

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.fixtures"]

# How long an example takes says more of the machine than of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# A shell that starts tests in the background has them ignore Ctrl-C, and so would all processes
# that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
