"""An application that has a trace function of its own for greenlets, and requests that hold the hub for a while.

/fork says in a child process, after a switch, whether a trace function is installed.
/trace tells whether the trace function is installed, how often it was called, and which function calls the application.
"""

from __future__ import annotations

import json
import os
import sys
import time

import app_support
import greenlet

calls = 0


def trace(event, greenlets):
    global calls
    calls += 1


def hold_the_hub(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def app(environ, start_response):
    name, seconds = environ["PATH_INFO"].strip("/"), float(environ["QUERY_STRING"] or 0)
    if name == "install":
        greenlet.settrace(trace)
    elif name == "hold":
        hold_the_hub(seconds)
    elif name == "wait":
        time.sleep(seconds)
    elif name == "fork" and os.fork() == 0:
        time.sleep(0.01)
        app_support.say(f"trace function in the child: {greenlet.gettrace()}")
        os._exit(0)
    told = {"installed": greenlet.gettrace() is trace, "calls": calls, "caller": sys._getframe(1).f_code.co_name}
    return app_support.answer(start_response, json.dumps(told).encode())
