"""``make observe``: what an operator would see of two sidecars on a bad day.

Starts two sidecars that share a Redis, in front of providers and a router model that need no key,
has apps call them while one thing after another fails, and lets a real Prometheus scrape them. Then
runs the query of every panel of the Grafana dashboard, and draws the panels into one PNG.

- scene: starts all of it and ends all of it. ``child`` is a process, ``settings`` the config files,
  ``providers`` the provider's pace, its troubles and its TLS, ``callers`` the apps.
- incidents: what can go wrong, and the scripts: the usual one, the short one, a night.
- prometheus: its HTTP API. ``rules`` reads deploy/prometheus.
- dashboard: reads Grafana's JSON. ``units`` writes numbers as Grafana does. ``draw`` lays the
  panels out, ``draw_panels`` draws each kind on a ``canvas``: an approximation of Grafana, and no
  more.
- run: all of that in its order, and what was found.

It runs from the repository, in the environment of the tests, on loopback and free ports. Grafana
itself comes in none of the package registries that this environment is made from (PyPI, Debian); it
is in ``deploy/compose.yaml``, as an image.
"""
