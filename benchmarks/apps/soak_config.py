"""Gunicorn's configuration for the soak: its log handlers raise now and then."""

import itertools
import logging

workers = 2
keepalive = 5
graceful_timeout = 10
accesslog = "/dev/null"
control_socket_disable = True
raw_env = [
    "GWORKERS_HEAD_TIMEOUT=4", "GWORKERS_BODY_TIMEOUT=4", "GWORKERS_WRITE_TIMEOUT=4", "GWORKERS_LINGER_TIMEOUT=1",
]


class Unreliable(logging.Handler):
    """Raises for one record in this number."""

    def __init__(self, every):
        super().__init__()
        self._numbers = itertools.count(1)
        self._every = every

    def emit(self, record):
        if next(self._numbers) % self._every == 0:
            raise OSError("this log handler raises now and then")


def post_worker_init(worker):
    worker.log.error_log.addHandler(Unreliable(10))
    worker.log.access_log.addHandler(Unreliable(500))
