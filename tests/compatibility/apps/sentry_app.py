"""sentry-sdk: a request to ``/message?number`` or ``/failure?number`` sets a tag, waits, and sends an event."""

import os
import time

import sentry_sdk
from app_support import answer, route_by_name
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware

sentry_sdk.init(dsn=os.environ["SENTRY_DSN"])


def message(environ, start_response):
    sentry_sdk.set_tag("number", environ["QUERY_STRING"])
    time.sleep(0.1)
    sentry_sdk.capture_message(environ["QUERY_STRING"])
    return answer(start_response)


def failure(environ, start_response):
    sentry_sdk.set_tag("number", environ["QUERY_STRING"])
    time.sleep(0.1)
    raise ValueError(environ["QUERY_STRING"])


app = SentryWsgiMiddleware(route_by_name(globals()))
