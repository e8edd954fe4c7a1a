"""``gworkers doctor``: a report on the start of a worker and its problems."""
