"""Writes what ships of the pod's parts (`sidecar.inject.pod`): the chart's named templates."""
