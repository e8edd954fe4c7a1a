"""One worker process, from its boot to its exit."""
