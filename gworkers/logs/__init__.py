"""Log records and log lines on their way out of a worker without blocking its hub."""
