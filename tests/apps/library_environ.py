"""What the servers of gevent and eventlet give to their applications in the environ."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

from app_support import answer, gates, route_by_name, say, wait_at


def closing(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Length", "2"), ("connection", "close"), ("x-LOWER", "1")])
    return [b"ok"]


def keys(environ: Any, start_response: Any) -> Any:
    own = {name: environ[name] is True for name in environ if name.startswith(("eventlet.", "wsgi.input_"))}
    return answer(start_response, json.dumps(own).encode())


def note(environ: Any, *args: Any, **kwargs: Any) -> None:
    say(f"posthook {environ['PATH_INFO']} {args} {kwargs}")


def wait_for_gate(environ: Any, name: str) -> None:
    say(f"posthook waits for {name}")
    wait_at(name)


def posthooks(environ: Any, start_response: Any) -> Any:
    environ["eventlet.posthooks"].append((note, (1,), {"two": 2}))
    environ["eventlet.posthooks"] += [(note, (3,), {})]
    return answer(start_response)


def waiting_posthook(environ: Any, start_response: Any) -> Any:
    environ["eventlet.posthooks"].append((wait_for_gate, (environ["QUERY_STRING"],), {}))
    return answer(start_response)


def fail(environ: Any) -> None:
    raise RuntimeError("this posthook fails")


def failing_posthook(environ: Any, start_response: Any) -> Any:
    environ["eventlet.posthooks"].extend([(fail, (), {}), (note, ("after it",), {})])
    return answer(start_response)


def posthook_of_a_failing_request(environ: Any, start_response: Any) -> Any:
    environ["eventlet.posthooks"].append((note, (), {}))
    raise RuntimeError("this request fails")


def forking_posthook(environ: Any, start_response: Any) -> Any:
    def fork(environ: Any) -> None:
        pid = os.fork()
        if pid == 0:
            return
        os.waitpid(pid, 0)
        say(f"child {pid} of the posthook has ended")

    environ["eventlet.posthooks"].append((fork, (), {}))
    return answer(start_response)


def continued(environ: Any, start_response: Any) -> Any:
    """Read half of the body after each of two 100 responses, the second one without fields of a name in capitals."""
    body = environ["wsgi.input"]
    body.set_hundred_continue_response_headers([("x-step", "1")])
    first = body.read(3)
    body.set_hundred_continue_response_headers([("x-step", "2")], capitalize_response_headers=False)
    body.send_hundred_continue_response()
    return answer(start_response, first + b"," + environ["eventlet.input"].read())


kept: list[Any] = []


def keeps_body(environ: Any, start_response: Any) -> Any:
    """Keep the body for another request."""
    kept.append(environ["wsgi.input"])
    return answer(start_response, kept[-1].read())


def continues_previous_body(environ: Any, start_response: Any) -> Any:
    """Ask for the body of a request that is over."""
    kept.pop().send_hundred_continue_response()
    return answer(start_response, b"abcdef")


def invalid_field(environ: Any, start_response: Any) -> Any:
    try:
        environ["wsgi.input"].set_hundred_continue_response_headers([("X-Name", "a\r\nX-Other: b")])
    except ValueError:
        return answer(start_response, b"refused")
    return answer(start_response)


def chunks(environ: Any, start_response: Any) -> Any:
    environ["eventlet.minimum_write_chunk_size"] = environ["QUERY_STRING"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return (b"%d" % number * 3 for number in range(5))


def read(environ: Any, start_response: Any) -> Any:
    return answer(start_response, environ["wsgi.input"].read())


def lines(environ: Any, start_response: Any) -> Any:
    source = environ["eventlet.input"]
    environ["wsgi.input"] = None
    return answer(start_response, json.dumps([line.decode() for line in (source.readline(), *source)]).encode())


def socket(environ: Any, start_response: Any) -> Any:
    sock = environ["eventlet.input"].get_socket()
    return answer(start_response, str(sock.getpeername()[1]).encode())


def elsewhere(environ: Any, start_response: Any) -> Any:
    """Use an entry in a greenlet that the request has started."""
    said = []

    def use() -> None:
        try:
            environ["eventlet.posthooks"].append((note, (), {}))
        except RuntimeError as error:
            said.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    return answer(start_response, said[0].encode())


def idle(environ: Any, start_response: Any) -> Any:
    environ["eventlet.set_idle"]()
    sock = environ["eventlet.input"].get_socket()
    say("idle request waits")
    say(f"idle request has received {sock.recv(1)!r}")
    return answer(start_response)


def idle_once(environ: Any, start_response: Any) -> Any:
    environ["eventlet.set_idle"]()
    return answer(start_response)


def busy(environ: Any, start_response: Any) -> Any:
    say("busy request waits")
    gates[environ["QUERY_STRING"]].wait(15)
    return answer(start_response, b"complete")


app = route_by_name(globals())
