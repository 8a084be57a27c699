"""Agents as apps: conversations of many turns with tool loops, whose history is kept as real agents
keep it, every block of every model as it came.
"""
