"""What the operator wrote: read, checked, and completed with defaults.

Rule: all problems at once, each with its file, line and path; no I/O but named files. A message may
repeat what is written in the file, and never what it expands to, which may be a secret.

The way of a file, in order:

- `yaml_nodes` reads the text into nodes that know their lines, and types plain values.
- `migrate` rewrites plano's older spellings, and names keys that are refused or do nothing.
- `decode` turns nodes into the structs of `schema`, and of `schema_listeners`, `schema_providers`
  and `schema_routing`;
  `expand` replaces references such as ``$VAR`` and ``${file:...}``; `secret` keeps values that
  must not be shown.
- `providers` completes each provider entry by its family's row in `conventions`, with `address`
  for where it is and how it is trusted; `provider_headers` checks what it says of header lines and
  cache hints; `translation` says what its models serve that they do not speak.
- `checks` and `checks_routing` report what no single key can show; `exposure` warns of what a
  config gives away.
- `load` does all of this, or makes a config from the provider keys in the environment.

`report` collects problems and warnings with their places. `json_schema` is for editors.
README.md of this room lists every key, every provider family and every patch.

`patch_table` holds what models are known to refuse of each other's parameters: its rows stand in
`patches_openai`, `patches_claude` and `patches_servers`, in the words of `patches`.

Words: an entry is an item of ``model_providers``; a family is what its model's prefix names; an
interface is the family whose API an entry of an unknown prefix speaks.
"""
