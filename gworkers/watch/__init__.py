"""Observing a worker from a native thread of its own: blocks of the hub, stacks, and what the arbiter aborts."""
