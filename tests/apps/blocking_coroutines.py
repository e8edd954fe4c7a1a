"""Coroutines that block the asyncio loop of the worker, or wait, for a number of seconds. /hub/... blocks the hub."""

from __future__ import annotations

import asyncio
import sys
import time

import app_support
import blocking

import gworkers


async def compute(seconds):
    blocking.loop_in_python(seconds)


async def sleep_unpatched(seconds):
    blocking.sleep_unpatched(seconds)


async def wait_on_the_hub_of_the_thread(seconds):
    time.sleep(seconds)


async def block_soon(seconds):
    asyncio.get_running_loop().call_later(0.1, blocking.sleep_unpatched, seconds)


async def wait(seconds):
    await asyncio.sleep(seconds)


async def wait_in_a_greenlet(seconds):
    await asyncio.to_thread(time.sleep, seconds)


def in_a_native_thread(function, *args):
    if "eventlet" in sys.modules:
        from eventlet import tpool

        tpool.execute(function, *args)
    else:
        import gevent

        gevent.get_hub().threadpool.apply(function, args)


async def wait_in_a_native_thread(seconds):
    await asyncio.to_thread(in_a_native_thread, blocking.call_c, seconds)


def app(environ, start_response):
    place, _, name = environ["PATH_INFO"].rpartition("/")
    if place == "/hub":
        getattr(blocking, name)(float(environ["QUERY_STRING"]))
    elif name:
        gworkers.run_async(globals()[name](float(environ["QUERY_STRING"])))
    return app_support.answer(start_response)
