"""A timer that runs once per cluster. ONCE names the module of examples/background that decides."""

import importlib
import os
import time

from app_support import answer, say

from gworkers import background

PERIOD = 1.0


@background.timer(0.3)
@importlib.import_module(os.environ["ONCE"]).once_per_cluster("job", PERIOD)
def job():
    say(f"job {int(time.time() // PERIOD)}")


def app(environ, start_response):
    return answer(start_response)
