"""``gworkers doctor``: what a server would run on, and what is wrong with it."""
