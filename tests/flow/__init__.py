"""The whole sidecar, as a process, between real SDKs and a demo provider."""
