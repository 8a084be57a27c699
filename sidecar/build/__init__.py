"""Builds what the process needs.

Rule: no other room constructs services, and none but the modules above this room knows telemetry.

- `foundation`: what lives as long as the process, such as the affinity store, the connection pools
  and telemetry. Nothing is opened, and no task runs yet.
- `memory`: how `limits.memory_bytes` is divided, and what it is where the config does not say it.
- `generation`: what one config decides, on that foundation. A changed config makes the next
  generation and leaves the foundation alone.
- `operator_pages`, `live_page`: what the operators' listener serves.
- `listeners`: the servers of the ports, which outlive a generation too.

`sidecar.app` holds all three, and starts, swaps and ends them.
"""
