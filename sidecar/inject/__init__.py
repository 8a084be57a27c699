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
- `manifests` adds the sidecar to a file: it finds the documents that hold pods, asks `pod_changes`
  what each pod becomes, as plain data, and has `editing` change the text so that it means that.
- `pod_changes` decides about a pod, or refuses it; `app_env` about the variables of one container.
- `nodes` reads a document into nodes that know their places in the text; `surroundings` knows what
  is around a place. `editing` inserts where it must and leaves every other byte, comments, order,
  quotes and indentation; it reads the result again and refuses what it could not do exactly.
"""
