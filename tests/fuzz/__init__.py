"""Properties of every parser of bytes that others write: random ones, and mutations of real ones.

A property is a function under `properties.holds_for`. pytest checks each with as many examples as the
profile of tests/conftest.py has, derandomized: the same each time. `python -m tests.fuzz MINUTES`
(`make fuzz`) goes on with new ones until the time is over, and prints how many there were.
"""
