"""Where what lies.

- ``<room>/``: unit tests of the room of the same name; every module of a room is imported here, or
  in ``contract/<room>/``.
- ``contract/``: one suite for every implementation of a port: affinity stores (memory, Redis 6.2
  and 7), the HTTP/1.1 client against real servers.
- ``flow/``: the whole sidecar, as a process or in this one, in front of scripted providers, real
  Redis servers and the OpenAI and Anthropic SDKs. ``make compiled`` runs them on the compiled
  package.
- ``architecture/``: what holds for the code itself: floors, sizes, words, docstrings, tests.
- ``support/``: what tests share: the scripted provider with every fault, a proxy that holds what a
  server says, Redis servers, sidecar processes, fixtures.
- ``deploy/``, ``chart/``: the image, the compose file, the Helm chart.
- ``bench/``: figures, never asserted: ``python -m tests.bench.<name>``.

Servers listen on free ports of 127.0.0.1. A test waits for what happens, not for a time; the rare
sleep carries its reason.
"""
