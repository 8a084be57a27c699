"""The ground floor: the nouns that all rooms share.

Rule: values only. No I/O, no decision, and no import from another room.

In the order in which a call meets them:

- `call`: what the app asked for, read once: `Call` with its `Endpoint`, headers and body facts.
- `ids`: the names that travel with it: request id, `TraceContext`, `Session`.
- `decision`: `Decision` says which `Candidate` (a model at a provider entry) serves a call and by
  which `Source`; `Route` is a kind of work with its candidates, `Binding` what the affinity store
  holds for a session, `Plan` the candidates in the order in which they are tried.
- `ports`: the two ends of a call: `Reply` (the provider's) and `Downstream` (the app's).
- `errors`: every error of a call, with its side, status, code, and whether to try on.
- `outcome`: how it ended: `Outcome` of a call, `Attempt` at a provider, `Timing`, `Usage`.
- `vocabulary`: the words for how something ended and why. A member's value is the label of a
  metric, and the line below it its meaning in telemetry/README.md.
- `events`: the facts that rooms report; `observers` hands them to those who hear them.
- `log_fields`: what a line of the log has beside its message.
- `clock`: time, passed in.

A new fact takes two edits: a struct in `events`, and the place where it happens. A metric of it
takes a third, in telemetry/event_metrics.py, and `python -m tests.support.metrics_reference`.

Values that every call makes are ``@final @dataclass(init=False, unsafe_hash=True)`` with a
constructor written out: mypyc then makes them structs in C, whose fields cost 2 ns to read instead
of 16 (a call reads some two hundred), and half as long to set. ``Final`` keeps them frozen, for
mypy everywhere and at run time once they are compiled. Values that are made seldom are frozen
`msgspec.Struct` classes, in modules that are not compiled: mypyc would drop the ``frozen``.
"""
