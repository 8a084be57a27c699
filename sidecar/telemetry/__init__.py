"""What operators read about calls, and about the sidecar itself.

Rule: this room listens and never steers. Only `build`, `app` and `process` import it; every other
room reports facts as events (`domain.events`) and does not know who hears them.

- `telemetry`: `Telemetry`, the door of the room: it has all observers.

- `event_metrics`, `affinity_metrics`, `cost_metrics`: observers of events, in five groups: calls,
  routing, upstream; affinity; dollars. Each declares its counters and histograms, and counts.
- `families`: counters and histograms that are cheap to count with, and that the Prometheus client
  library exposes.
- `metrics`: `Metrics`, which has these observers, and reads all gauges from one `ScrapeSnapshot`
  at each scrape.
- `tracer`: `CallTracer`, what the process sees of tracing; `spans`: an observer that makes a call's
  spans when it has ended; `span_facts`, `span_names`: what they say; `otlp`: the only importer of
  OpenTelemetry, which queues and sends them; `span_metrics`, `exporter_edges`: how that goes.
- `exposition`: writes the page in slices, between which calls go on.
- `loop_lag`: probes the event loop once a second.
- `status`, `status_reader`: all of this at one moment, as JSON for the live page and scripts;
  `build_facts`: what runs, and on what.
- `log_format`, `log_writer`: a line of the log, and lines to a descriptor that nothing may read;
  `start_line`: the first one's fields; `edge_log`: an observer that tells what fails;
  `break_log`: one that tells of responses that break off; `looks`: the timer of both;
  `log_events`: the reference of all of them.
- `last_failures`: an observer that keeps the last failure of each provider entry.
- `call_record`: what is written down of one call; `record_maker` makes it, with the letters of
  `call_flags`. `call_recorder` is the observer that has one made where somebody wants it:
  `access_log`, lines on stdout; `call_feed`, the last calls and those who follow them;
  `named_calls`, what an operator has named, and `named_lines`, the lines of such calls.
  `record_reference` explains every field.

README.md lists every metric with its labels, their values and its buckets. It is written by
``python -m tests.support.metrics_reference`` from a registry in which everything has happened, and
a test compares the two.

Words: a family is all that has one metric's name; a series is one set of its label values. Labels
have closed vocabularies: enums of `domain.vocabulary`, and names from the config. Whatever clients
can invent, such as models of a wildcard entry or routes of a request's own list, is counted under
``prefix/*`` and ``other``. No label holds a tenant, a session, a user or a key.
"""
