"""The store that several processes share, in a Redis or Valkey server or cluster.

Imported only where `[store] url` is set: it needs packages that others do without.
"""
