"""The commands of `plano-sidecar`, one function each. A command prints; it decides nothing.

`sidecar.cli` parses the command line and calls one of the functions below with the parsed
arguments. The function returns the exit code, prints results to stdout and problems to stderr, and
lets a ConfigError pass: `sidecar.cli` prints that one for all commands.

    shell      exit codes, the event loop, the log, kinds of arguments: what the commands share
    serve      `run` and `demo`: sidecars that serve until a signal
    inspect    `check`, `schema`, `route` and `version`: what a config, or an installation, means
    doctor     `doctor`: whether all that a config names can be reached and used
    inject     `inject`: manifests with the sidecar added; its arguments are in inject_arguments
    affinity   `affinity list|get|delete`: pins, through a running sidecar or in Redis itself

Whatever is slow to import (aiohttp, Redis, YAML) is imported inside a function, so that `schema` or
`--help` does not wait for it; and a command when it runs, so that `run` does not keep the others.
"""
