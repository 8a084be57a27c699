"""The image without a container engine: `python -m deploy.image`, as root, on Debian or Ubuntu.

The Dockerfile's own steps are read and run, each in a root of its own, so that they cannot drift
from what is measured here. The result runs as a kubelet would run it, and is measured.

- `dockerfile` reads the Dockerfile into stages and steps.
- `bases` makes the base images' roots from the Debian packages that they consist of.
- `build` runs the steps.
- `container` runs the result: PID 1, the image's user, a read-only root, a memory limit.
- `scenes` are the configs with which it is measured, and the load.
- `measure` takes the figures.

What it cannot show: the bases' digests, layers and their sizes in a registry, seccomp and the
network of a pod; the container shares the network of this machine.
"""
