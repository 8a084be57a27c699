"""What stands in a pod beside the app so that its calls go through the sidecar.

Rule: values in, values out. Nothing here reads a file, asks a cluster or imports another room: the
same options always give the same parts, in the same order.

Words: the *parts* are the sidecar's container, the volumes that it mounts, the variables by which
an app's SDKs find it, and the pod's labels and annotations. *Native* is an init container that
stays (`restartPolicy: Always`), which starts before the app and ends after it, on Kubernetes 1.29
and later.

- `pod` has the options and makes the parts as plain data. The chart's named templates and the
  Kustomize component are written from the same data, so that all ways give one pod.
- `layout` writes such data as lines of YAML.
"""
