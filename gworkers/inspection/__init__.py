"""Commands that inspect running workers: ``gworkers stacks`` and ``gworkers profile``."""
