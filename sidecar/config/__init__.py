"""What the operator wrote: schema, loading, and providers with their defaults filled in. Pure but
for reading files.
"""
