"""Every connection and request of a worker."""
