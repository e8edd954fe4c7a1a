"""redis-py: lists, transactions, publishing and subscribing."""

import os
import time

import redis
from app_support import answer, route_by_name

URL = f"unix://{os.environ['SERVER_SOCKET']}"
#: For commands that wait.
WAITING = redis.Redis(connection_pool=redis.BlockingConnectionPool.from_url(URL, max_connections=250, timeout=20))
#: For all others. The name is that of its connections at the server.
NAME = f"small-{os.getpid()}"
SMALL = redis.Redis(connection_pool=redis.BlockingConnectionPool.from_url(
    URL, max_connections=10, timeout=20, client_name=NAME))


def wait(environ, start_response):
    """/wait?SECONDS for an element of a list that stays empty"""
    found = WAITING.blpop("empty", timeout=float(environ["QUERY_STRING"]))
    return answer(start_response, repr(found).encode())


def transaction(environ, start_response):
    """/transaction?NUMBER gets the number back"""
    number = environ["QUERY_STRING"]
    with SMALL.pipeline(transaction=True) as pipeline:
        pipeline.set(f"number:{number}", number, ex=60)
        pipeline.get(f"number:{number}")
        pipeline.delete(f"number:{number}")
        stored, found, deleted = pipeline.execute()
    assert (stored, deleted) == (True, 1)
    return answer(start_response, found)


def subscribe(environ, start_response):
    """/subscribe?CHANNEL gets the next message"""
    with WAITING.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(environ["QUERY_STRING"])
        message = next(subscription.listen())
    return answer(start_response, message["data"])


def publish(environ, start_response):
    """/publish?CHANNEL=COUNT=MESSAGE once the channel has so many subscribers"""
    channel, count, message = environ["QUERY_STRING"].split("=")
    while SMALL.pubsub_numsub(channel)[0][1] < int(count):
        time.sleep(0.01)
    return answer(start_response, str(SMALL.publish(channel, message)).encode())


def connections(environ, start_response):
    """The number of connections of the small pool"""
    count = sum(client["name"] == NAME for client in SMALL.client_list())
    return answer(start_response, str(count).encode())


app = route_by_name(globals())
