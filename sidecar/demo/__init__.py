"""The demo: a provider and a router model that need no key and no network, and the scripted
conversation that ``plano-sidecar demo`` has with two sidecars in front of them.

The room imports nothing of the sidecar; it reaches one over HTTP only.

- provider: the server. ``replies`` decides what a request gets, ``request`` reads its body,
  ``completion`` makes up the words; ``openai_wire``, ``responses_wire`` and ``anthropic_wire``
  write them as the real APIs do.
- router_model: a provider that says ``{"route": name}``; it compares words.
- scenario: the calls of the conversation, what each must come to, and the sidecars' config.
- show: runs the conversation and prints the table. ``shared_store`` runs a Redis for it, if the
  machine has one.

Two calls of the conversation fail on purpose. The provider fails every call for a model named
``error-529`` (or any other error status), and a call whose user message contains ``[[fail:400]]``.
``python -m sidecar.demo`` serves the provider and the router model alone.
"""
