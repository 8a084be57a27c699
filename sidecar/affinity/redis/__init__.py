"""The affinity store on Redis; the only importer of redis."""
