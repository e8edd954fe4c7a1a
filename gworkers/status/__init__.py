"""The status process and its clients: what a running server does."""
