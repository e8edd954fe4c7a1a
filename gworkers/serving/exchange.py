"""One request and its response: from the parsed head to the last byte sent."""
from __future__ import annotations

import sys
from math import frexp
from time import monotonic
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit

from gworkers.errors import ClientError, ClientTimeout, Refusal, RequestInterrupted
from gworkers.gunicorn_compat import optional
from gworkers.http1.body import EMPTY, Body, LengthBody
from gworkers.http1.chunked import ChunkedBody
from gworkers.http1.response import NO_ENVIRON, Response
from gworkers.serving import fork

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gworkers.http1.request import Request
    from gworkers.serving.connection import Connection
    from gworkers.serving.server import Server

#: The class in ``wsgi.file_wrapper``. The kernel may send the file of an instance.
FILE_WRAPPER = optional("gunicorn.http.wsgi:FileWrapper", ())


def serve(connection: Connection, request: Request) -> bool:
    """Call the application with *request* and send its response. Runs in a request greenlet.

    :returns: whether the connection can serve another request; if not, it may be closed already
    """
    server = connection.server
    worker = server.worker
    body = request.body = _body(connection, request) if request.length != 0 else EMPTY
    response = connection.response = Response(connection, request, server.responses)
    connection.waited = 0.0
    response.started = monotonic()
    environ: dict[str, Any] = {}
    keep = False
    if server.limits.seconds:
        server.limits.set(connection, server.limits.seconds)
    if server.clients.cancels:
        server.clients.watch(connection)
    try:
        if server.pre_request is not None:
            request.cfg = server.cfg
            server.pre_request(worker, request)
            request.adopt_headers()
        environ = response.environ = connection.listener.environs.build(request, response, body, connection.offer)
        worker.nr += 1
        if worker.nr >= worker.max_requests:
            worker.recycle()
        application = server.application
        if server.upgrade_application is not None and "HTTP_UPGRADE" in environ:
            application = server.upgrade_application
        result = application(environ, response.start_response)
        if ((type(result) is object and _is_already_handled(result))
                or (server.pop_taken_flag is not None and server.pop_taken_flag())):
            _close(result)
            _end_takeover(connection, response)
        elif not _send(connection, response, result):
            _end_takeover(connection, response)
        else:
            keep = not (response.closes or connection.last_request)
            if response.sent != response.response_length and response.truncated and not connection.broken:
                server.responses.warn_of_truncation(request, response.sent, response.response_length)
                keep = False
            if keep and not body.complete:
                keep = body.discard(server.discard_body_limit, server.linger)
    except RequestInterrupted as error:
        if not connection.released:
            # The application has raised it.
            _fail(connection, response, error)
    except ClientError as error:
        if not environ:
            # Errors in a body are logged where it is read.
            connection.log_client_error(error)
        _end_after_client_error(connection, response, error)
    except GreenletExit:
        if not connection.released:
            connection.close_unless_flushing()
    except BaseException as error:
        if worker.forking_greenlet is not None:
            fork.exit_forked_child(worker, error)
        if server.pop_taken_flag is not None:
            server.pop_taken_flag()
        if connection.last_request and isinstance(_cause(error), StopIteration):
            # Libraries that support Gunicorn end a request in this way after they have sent on the socket.
            _end_takeover(connection, response)
        else:
            _fail(connection, response, error)
    finally:
        if worker.forking_greenlet is not None:
            fork.exit_forked_child(worker, None)
        response.ended = True
        connection.response = None
        # The environ refers back to the response, and the garbage collector frees such a cycle late.
        response.environ = NO_ENVIRON
        body.end()
        if connection.limited:
            server.clients.end(connection)
            server.limits.end(connection)
        if connection.released:
            server.released_request_ended(connection)
        elapsed = monotonic() - response.started
        # Negative if the application has replaced the trace function during a wait.
        if server.measures_hub_time and connection.waited >= 0:
            response.hub_time = elapsed - connection.waited
            server.counters.hub_seconds += response.hub_time
        if not connection.released:
            counters = server.counters
            counters.request_seconds += elapsed
            counters.request_times[frexp(elapsed)[1]] += 1
            counters.statuses[response.status_code] += 1
            if server.access is not None and environ and response.status is not None:
                server.access.record(response, request, environ, elapsed)
        if server.post_request is not None:
            request.cfg = server.cfg
            try:
                server.post_request(worker, request, environ, response)
            except BaseException as error:
                if server.ends_process(error):
                    raise
                server.log.exception("Exception in post_request hook")
        if response.callbacks is not None:
            _call_after(server, response)
    return keep


def _call_after(server: Server, response: Response) -> None:
    """Call the functions that the application has left for the time after the response."""
    callbacks, response.callbacks = response.callbacks, None
    for callback in callbacks or ():
        try:
            callback()
        except BaseException as error:
            if server.ends_process(error):
                raise
            server.log.exception("Exception in a function that was to be called after the response")
        if server.worker.forking_greenlet is not None:
            fork.exit_forked_child(server.worker, None)


def _fail(connection: Connection, response: Response, error: BaseException) -> None:
    """Log *error*, an exception of the application, and send an error page if a response can still begin."""
    server = connection.server
    if server.ends_process(error):
        raise error
    request = response.req
    server.log.exception("Error handling request %s %s", request.method, request.uri)
    _send_error(connection, response, 500, "Internal Server Error", "")


def _body(connection: Connection, request: Request) -> Body:
    if request.length is None:
        server = connection.server
        return ChunkedBody(connection, request, server.heads.chunk_limits, server.trailers)
    return LengthBody(connection, request, request.length)


def _send(connection: Connection, response: Response, result: Any) -> bool:
    """Send the result of the application.

    :returns: false if there is no response to send, because the application has sent on the socket itself
    """
    try:
        if type(result) is list and len(result) == 1:
            response.write_whole(result[0])
        elif isinstance(result, FILE_WRAPPER):
            response.write_file(result)
        else:
            minimum = response.environ.get("eventlet.minimum_write_chunk_size")
            for data in joined(result, int(minimum)) if minimum else result:
                response.write(data)
            pop_taken_flag = connection.server.pop_taken_flag
            if pop_taken_flag is not None and pop_taken_flag():
                return False
        if response.chunked or not response.headers_sent:
            if connection.broken:
                return False
            response.finish()
    finally:
        _close(result)
    return True


def joined(parts: Iterable[bytes], minimum: int) -> Iterator[bytes]:
    """Yield *parts*, joined so that each one but the last has at least *minimum* bytes."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= minimum:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    yield b"".join(waiting)


def _is_already_handled(result: object) -> bool:
    """Whether *result* is Gunicorn's mark for a request that the application has answered on the socket."""
    # An application that returns it has imported the module; nothing else here needs it.
    base_async = sys.modules.get("gunicorn.workers.base_async")
    return result is getattr(base_async, "ALREADY_HANDLED", None)


def _close(result: Any) -> None:
    if hasattr(result, "close"):
        result.close()


def _cause(error: BaseException) -> BaseException | None:
    """Return *error*, or its cause if it is a RuntimeError, which a generator raises for StopIteration (PEP 479)."""
    return error.__cause__ if type(error) is RuntimeError else error


def _end_takeover(connection: Connection, response: Response) -> None:
    """Close after the application has sent on the socket itself, and set the status for the access log."""
    if connection.released:
        return
    if response.status is None:
        response.status, response.status_code = "101 Switching Protocols", 101
    connection.close()


def _end_after_client_error(connection: Connection, response: Response, error: ClientError) -> None:
    """Send an error page if no response has begun, then close."""
    if connection.released:
        return
    if response.headers_sent:
        connection.server.log.debug("A client disconnected before it got the whole response: %s", error)
        connection.close_unless_flushing()
    elif response.too_late:
        _end_takeover(connection, response)
    elif isinstance(error, Refusal):
        _send_error(connection, response, error.status, error.reason, error.detail)
    elif isinstance(error, ClientTimeout):
        _send_error(connection, response, 408, "Request Timeout", str(error))
    else:
        _send_error(connection, response, 400, "Bad Request", str(error))


def _send_error(connection: Connection, response: Response, status: int, reason: str, detail: str) -> None:
    """Send an error page if a response can still begin, then close."""
    if connection.released:
        return
    too_late = response.too_late
    if not response.headers_sent:
        response.status = f"{status} {reason}"
        response.status_code = status
        response.headers = []
        response.must_close = True
    if too_late:
        # The client can tell from the close that the response is incomplete.
        connection.close_unless_flushing()
    else:
        connection.send_error(status, reason, detail)
