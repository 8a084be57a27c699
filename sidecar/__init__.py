"""plano-sidecar: routes, pins and streams an app's LLM calls from inside its own pod."""

__version__ = "0.1.0"
