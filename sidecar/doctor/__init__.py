"""What `plano-sidecar doctor` looks at: whether all that a config names can be reached and used.

Rule: whatever is asked here is asked in the way in which calls ask it: by the same pools, proxies,
TLS files, header lines, paths and key files, and a failure means what it means to a call. Nothing
of a credential, and no text of a reply, stands in a finding.

Words: a *finding* is what was learnt of one thing that the config names: a provider entry, the
router model, the affinity store, a source of prices or latencies, the trace collector. Its
*verdict* is FAILED only where calls would fail by it. An *account* is what entries with one base
URL and credential share: it is asked once for all of them.

- `checks` asks everything, so much at a time, each within the timeout, and returns the findings in
  the order of the config.
- `account_check` asks what all entries of an account share: the connection, the list of models, and
  whether that list is refused without the key, which proves the key.
- `entry_check` asks for one entry what is left: its model, and where the list proved nothing, the
  smallest call there is.
- `entry_facts` keeps what was learnt of an entry, `entry_findings` decides what it means;
  `model_list` reads a list of models; `stages` says how far a connection came, and `advice` what a
  person can do about it.
- `router_check`, `store_findings`, `source_check` and `trace_check` look at the rest.
- `findings` are the values of all this; `table` writes them for a person, `report` for machines.
"""
