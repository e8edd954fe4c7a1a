"""A timer that runs once per cluster. ONCE names the module of examples/background that decides."""

import importlib
import os
import time

from app_support import answer, say

from gworkers import background

PERIOD = 1.0


once = importlib.import_module(os.environ["ONCE"]).once_per_cluster("job", PERIOD)


@background.timer(0.3)
def job():
    # The decision reads the clock directly after this, and then waits for its server.
    period = int(time.time() // PERIOD)
    once(lambda: say(f"job {period}"))()


def app(environ, start_response):
    return answer(start_response)
