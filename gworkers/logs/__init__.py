"""Logging that does not block the hub."""
