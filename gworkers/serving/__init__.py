"""Connections and requests of a worker."""
