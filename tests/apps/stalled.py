"""An application that stalls its server on purpose, to see whether the worker notices."""

from __future__ import annotations

import threading
import time

import stage


def install(worker):
    """A ``post_worker_init``: shorten what the self-check waits for."""
    import gworkers.serving.self_check
    import gworkers.worker.green

    gworkers.serving.self_check.INTERVAL = 0.1
    gworkers.serving.self_check.PATIENCE = 0.5
    gworkers.worker.green.HEARTBEAT = 0.1
    globals()["worker"] = worker


def server():
    return worker.server  # noqa: F821


def stop_listening(environ, start_response):
    server().listeners[0]._watcher.stop()
    return stage.answer(start_response)


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
    return stage.answer(start_response)


def lose_the_dispatcher(environ, start_response):
    server().greenlets._scheduled = True
    return stage.answer(start_response)


def lose_the_outbox(environ, start_response):
    server().outbox._scheduled = True
    return stage.answer(start_response)


def lose_the_log(environ, start_response):
    server().log._scheduled = True
    server().log.warning("a record that waits")
    return stage.answer(start_response)


def lose_a_connection(environ, start_response):
    """All idle ones."""
    for connection in server().connections:
        if connection.state.value == "idle":
            connection._unwatch()
            connection._stop_deadline()
    return stage.answer(start_response)


def break_for_good(environ, start_response):
    """Nothing wakes the dispatcher any more, a repair neither."""
    server().greenlets._hub = Deaf(server().hub)
    return stage.answer(start_response)


class Deaf:
    """A hub that calls nothing back."""

    def __init__(self, hub):
        self.hub = hub

    def call_soon(self, callback):
        """Do not."""

    def call_later(self, seconds, callback):
        """Do not."""

    def __getattr__(self, name):
        return getattr(self.hub, name)


def wait(environ, start_response):
    stage.wait_at(environ["QUERY_STRING"])
    return stage.answer(start_response)


def check_soon(environ, start_response):
    """Takes as long as some of the self-check's intervals."""
    time.sleep(0.1)
    return stage.answer(start_response)


app = stage.stage(globals())
