"""A provider and a router model that need no key and no network; for the demo, the README and the
tests.
"""
