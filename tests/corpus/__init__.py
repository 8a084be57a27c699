"""Crafted requests and crafted answers as data, and what becomes of each.

Each line of `requests/*.jsonl` and `answers/*.jsonl` is one case; `cases` reads them and has what their
members mean, README.md how to add one. `recording` runs a whole sidecar before an upstream of bare
bytes, `exchanges` sends a case through it and compares; `python -m tests.corpus` prints counts.
"""
