"""Real agents at models that do not speak their API; `make clients`.

- crossings.toml: agents, what they are told, and the models before which they are put. ``table``
  reads it.
- provider: what serves those models: scripted loops of tools, and a strict reading of requests.
- session: one agent's session of ten turns; half way the first model begins to refuse.
- results: what came of it, in results.json. ``tests.clients.page`` writes it into deploy/CLIENTS.md.
"""
