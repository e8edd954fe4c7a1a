"""An application that stalls its server on purpose, for tests of the self-check."""

from __future__ import annotations

import threading
import time

import app_support
from greenlet import GreenletExit

from gworkers import background


def install(worker):
    """A ``post_worker_init`` that shortens the times of the self-check."""
    import gworkers.serving.self_check
    import gworkers.watch.watchdog

    gworkers.serving.self_check.INTERVAL = 0.1
    gworkers.serving.self_check.PATIENCE = 0.5
    gworkers.watch.watchdog.BEAT = 0.1
    globals()["worker"] = worker


def server():
    return worker.server  # noqa: F821


def stop_listening(environ, start_response):
    server().listeners[0]._watcher.stop()
    return app_support.answer(start_response)


def stay_full(environ, start_response):
    """Begin when the next request has been served."""
    count = worker.nr + 1  # noqa: F821

    def stay():
        while worker.nr < count or any(connection.state.value == "busy"  # noqa: F821
                                       for connection in server().connections):
            time.sleep(0.001)
        for listener in server().listeners:
            listener.pause()
        server().full = True

    threading.Thread(target=stay).start()
    return app_support.answer(start_response)


def lose_the_dispatcher(environ, start_response):
    server().greenlets._scheduled = True
    return app_support.answer(start_response)


def lose_the_outbox(environ, start_response):
    server().outbox._scheduled = True
    return app_support.answer(start_response)


def lose_the_log(environ, start_response):
    server().log._scheduled = True
    server().log.warning("a record that waits")
    return app_support.answer(start_response)


def lose_the_time_limits(environ, start_response):
    server().limits._scheduled = True
    environ["gworkers.deadline"](0.1)
    time.sleep(15)
    return app_support.answer(start_response)


def lose_the_client_watch(environ, start_response):
    server().clients._scheduled = True
    return app_support.answer(start_response, str(environ["gworkers.wait_client_gone"](0.1)).encode())


def end_the_scheduler(environ, start_response):
    background.timer(0.1, name="tick")(lambda: app_support.say("tick"))
    scheduler = worker.scheduler  # noqa: F821
    while scheduler._greenlet is None:
        time.sleep(0.001)
    server().hub.call_soon(scheduler._greenlet.throw, GreenletExit)
    return app_support.answer(start_response)


def lose_a_connection(environ, start_response):
    """Stop watcher and deadline of all idle connections."""
    for connection in server().connections:
        if connection.state.value == "idle":
            connection._unwatch()
            connection._stop_deadline()
    return app_support.answer(start_response)


def break_beyond_repair(environ, start_response):
    """Give the request greenlets a hub that never calls them."""
    server().greenlets._hub = SilentHub(server().hub)
    return app_support.answer(start_response)


class SilentHub:
    """A hub that calls no callbacks."""

    def __init__(self, hub):
        self.hub = hub

    def call_soon(self, callback):
        """Do nothing."""

    def call_later(self, seconds, callback):
        """Do nothing."""

    def __getattr__(self, name):
        return getattr(self.hub, name)


def wait(environ, start_response):
    app_support.wait_at(environ["QUERY_STRING"])
    return app_support.answer(start_response)


def check_soon(environ, start_response):
    """Take as long as an interval of the self-check."""
    time.sleep(0.1)
    return app_support.answer(start_response)


app = app_support.route_by_name(globals())
