"""structlog: ``/bind?number`` binds the number, waits, and logs. ``/plain?number`` binds nothing."""

import sys
import time

import structlog
from app_support import answer, route_by_name

structlog.configure(
    processors=[structlog.contextvars.merge_contextvars, structlog.processors.JSONRenderer()],
    logger_factory=structlog.PrintLoggerFactory(sys.stderr))
log = structlog.get_logger()


def bind(environ, start_response):
    structlog.contextvars.bind_contextvars(number=environ["QUERY_STRING"])
    time.sleep(0.05)
    log.info(environ["QUERY_STRING"])
    return answer(start_response)


def plain(environ, start_response):
    time.sleep(0.02)
    log.info(environ["QUERY_STRING"])
    return answer(start_response)


app = route_by_name(globals())
