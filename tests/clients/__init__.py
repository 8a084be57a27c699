"""Real SDKs, frameworks and agents, each at a provider and through the sidecar; `make clients`.

- clients.toml: the table; ``programs`` beside it are what libraries run. ``table`` reads it.
- install: exact versions below ``.venv-clients``. ``sandbox`` runs one command of them.
- provider: what they are tried at. ``trial`` runs one client both ways and compares.
- results: what came of it, in results.json. ``page`` writes deploy/CLIENTS.md.
"""
