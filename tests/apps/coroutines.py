"""Requests that wait for coroutines with ``gworkers.run_async``."""

from __future__ import annotations

import asyncio
import contextvars
import posix
import subprocess
import sys
import threading
import time

from app_support import answer, gates, route_by_name, say

import gworkers

number = contextvars.ContextVar("number", default="unset")


class ApplicationError(Exception):
    pass


async def double(value):
    number.set(number.get() + value)
    await asyncio.sleep(0.1)
    return number.get()


def concurrent(environ, start_response):
    """A coroutine has a copy of the context of its request."""
    value = environ["QUERY_STRING"]
    number.set(value)
    found = gworkers.run_async(double(value))
    return answer(start_response, f"{number.get()} {found}".encode())


async def fail(error):
    await asyncio.sleep(0)
    raise error


def failing(environ, start_response):
    """Exceptions arrive in the request, and the loop continues."""
    found = []
    for error in (ApplicationError("no"), SystemExit(3), asyncio.CancelledError()):
        try:
            gworkers.run_async(fail(error))
        except BaseException as caught:
            found.append(type(caught).__name__)
    return answer(start_response, " ".join(found).encode())


def no_coroutine(environ, start_response):
    """An object that is no coroutine is refused."""
    try:
        gworkers.run_async(answer)
    except TypeError as error:
        return answer(start_response, str(error).encode())
    return answer(start_response)


async def fork():
    """Fork a process that waits, and return its status."""
    pid = posix.fork()
    if not pid:
        await asyncio.sleep(60)
    return posix.waitpid(pid, 0)[1]


def forked_by_coroutine(environ, start_response):
    """A process that a coroutine has forked ends when the coroutine waits."""
    return answer(start_response, str(gworkers.run_async(fork())).encode())


def no_loop(environ, start_response):
    """The loop of the worker cannot be created. Use this before other coroutines."""
    def fail(selector):
        raise OSError("no more file descriptors")

    original, asyncio.SelectorEventLoop = asyncio.SelectorEventLoop, fail
    coroutine = loop_and_thread()
    try:
        gworkers.run_async(coroutine)
    except OSError as error:
        return answer(start_response, str(error).encode())
    finally:
        asyncio.SelectorEventLoop = original
        coroutine.close()


PROGRAM = [sys.executable, "-c", "print('from a process')"]


async def start_process(way):
    if way == "to_thread":
        return (await asyncio.to_thread(subprocess.run, PROGRAM, stdout=subprocess.PIPE, check=True)).stdout
    process = await asyncio.create_subprocess_exec(*PROGRAM, stdout=subprocess.PIPE)
    return (await process.communicate())[0]


def processes(environ, start_response):
    try:
        return answer(start_response, gworkers.run_async(start_process(environ["QUERY_STRING"])))
    except RuntimeError as error:
        return answer(start_response, str(error).encode())


async def loop_and_thread():
    return id(asyncio.get_running_loop()), threading.get_ident()


def same_loop(environ, start_response):
    return answer(start_response, repr(gworkers.run_async(loop_and_thread())).encode())


async def wait_for_threads(open_gate):
    """Wait for a function in another thread, a thread that a library starts, and a name."""
    loop = asyncio.get_running_loop()
    asleep = threading.Thread(target=time.sleep, args=(0.05,))
    asleep.start()
    opened = loop.run_in_executor(None, gates["thread"].wait, 15)
    await asyncio.to_thread(open_gate) if hasattr(asyncio, "to_thread") else open_gate()
    while asleep.is_alive():
        await asyncio.sleep(0.01)
    await loop.getaddrinfo("127.0.0.1", 80)
    return await opened


def threads(environ, start_response):
    """Blocking functions of a coroutine do not block the loop."""
    found = gworkers.run_async(wait_for_threads(gates["thread"].set))
    return answer(start_response, str(found).encode())


async def wait_until_cancelled(name):
    say(f"{name} waits")
    try:
        await asyncio.sleep(30)
    finally:
        await asyncio.sleep(0.05)
        say(f"{name} is cancelled")


def cancelled(environ, start_response):
    name = environ["QUERY_STRING"]
    try:
        gworkers.run_async(wait_until_cancelled(name))
    except BaseException as error:
        say(f"{name} has ended with {type(error).__name__}")
        raise


def in_a_coroutine(environ, start_response):
    """The loop's thread cannot wait for itself."""
    async def nested():
        coroutine = loop_and_thread()
        try:
            gworkers.run_async(coroutine)
        except RuntimeError as error:
            return str(error)
        finally:
            coroutine.close()

    return answer(start_response, gworkers.run_async(nested()).encode())


lock = threading.Lock()
holders = []


def hold_the_lock(times):
    """Return the largest number of holders of the lock at the same time."""
    most = 0
    for _ in range(times):
        with lock:
            holders.append(threading.get_ident())
            time.sleep(0)
            most = max(most, len(holders))
            holders.pop()
    return most


async def hold_the_lock_in_a_coroutine(times):
    return hold_the_lock(times)


def shared_lock(environ, start_response):
    """Half of the requests hold a lock of ``threading`` in a coroutine."""
    if environ["QUERY_STRING"] == "coroutine":
        most = gworkers.run_async(hold_the_lock_in_a_coroutine(50))
    else:
        most = hold_the_lock(50)
    return answer(start_response, str(most).encode())


def fail_with_lock(environ, start_response):
    """Twice a greenlet of eventlet waits for a lock that a coroutine releases, then fails. Returns what it raised."""
    import eventlet

    own = threading.Lock()

    async def release():
        own.release()

    def wait_and_fail():
        own.acquire()
        raise ApplicationError("with the lock")

    own.acquire()
    found = []
    for _ in range(2):
        waiter = eventlet.spawn(wait_and_fail)
        eventlet.sleep(0)
        gworkers.run_async(release())
        try:
            waiter.wait()
        except ApplicationError as error:
            found.append(str(error))
    return answer(start_response, ", ".join(found).encode())


async def leave_task_behind(name):
    async def task():
        try:
            await asyncio.sleep(30)
        finally:
            say(f"{name}: the task is cancelled")

    left = asyncio.create_task(task())
    await asyncio.sleep(0)
    return left


kept = []


def leave_behind(environ, start_response):
    """A task runs on after its request. It says how it ends."""
    kept.append(gworkers.run_async(leave_task_behind(environ["QUERY_STRING"])))
    return answer(start_response)


async def do_not_end():
    while True:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            pass


async def leave_endless_task_behind():
    kept.append(asyncio.create_task(do_not_end()))
    await asyncio.sleep(0)


def leave_endless_behind(environ, start_response):
    gworkers.run_async(leave_endless_task_behind())
    return answer(start_response)


def asyncio_run(environ, start_response):
    """As /concurrent, with asyncio.run. A task that is left behind is cancelled."""
    value = environ["QUERY_STRING"]
    number.set(value)
    found = asyncio.run(double(value))
    left = asyncio.run(leave_task_behind(value))
    return answer(start_response, f"{number.get()} {found} {left.cancelled()}".encode())


def own_loop(environ, start_response):
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()
    return answer(start_response)


app = route_by_name(globals())
