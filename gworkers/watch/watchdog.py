"""The watchdog: a native thread that reports what blocks the hub, and what runs when the arbiter aborts the worker.

The thread sleeps until the next beat of the main greenlet is late by ``block_warning`` seconds. While beats come, it
wakes up twice in this time, and a little more often if the worker has an asyncio loop. It logs directly, because the
log queue needs the hub.
"""
from __future__ import annotations

import os
import posix
from collections import deque
from select import POLLIN
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Callable

from gworkers.error_text import print_traceback
from gworkers.logs.thread_log import ThreadLog
from gworkers.serving.stacks import RequestReport, place, requests_in_flight, run_of, stack_of, text
from gworkers.watch.control import ControlSocket
from gworkers.watch.greenlet_report import GreenletReport
from gworkers.watch.hub_thread import HubThread
from gworkers.watch.loop_watch import LoopWatch
from gworkers.watch.native_traceback import NativeTraceback
from gworkers.watch.profiler import Profiler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from traceback import StackSummary
    from types import FrameType

    from gworkers.coroutines.runner import Runner
    from gworkers.hubs.base import Hub
    from gworkers.serving.server import Server
    from gworkers.shared_state import WorkerState
    from gworkers.watch.control import Command

#: The most seconds between two beats. Half a second must be left for a warning that is due.
BEAT = 0.4
#: Seconds between two checks while the hub is blocked.
CHECK = 0.1
#: Seconds after which the interpreter writes the stack in C, if the thread has not woken up when it was due.
GRACE = 0.05
#: Milliseconds after clients of the control socket in which no further ones are accepted.
CLIENT_INTERVAL = 20
#: Seconds that SIGABRT waits for the report of the thread.
ABORT_SECONDS = 0.5
#: The most characters of a path, and of a stack, that are remembered. Five blocks must fit into the shared memory.
PATH_LENGTH = 300
STACK_LENGTH = 2000
#: The number of blocks that are remembered.
BLOCKS = 5
#: The packages whose code runs in a worker between requests.
OWN_PACKAGES = frozenset(("gworkers", "gunicorn"))
#: Stands for the request, if the code that blocks the hub serves none.
OUTSIDE = "code outside of requests"


class Watchdog:
    """Watches the hub of one worker. Create it in the hub's thread.

    :param server: the server of the worker
    :param runner: has the asyncio loop of the worker, which is watched too
    :param state: the state that the worker shares with the master
    :param logger: Gunicorn's logger, of any class
    :param block_warning: seconds; 0 for no reports of blocks
    :param commands: further commands of the control socket
    """

    def __init__(self, server: Server, runner: Runner, state: WorkerState, logger: Any, block_warning: float,
                 commands: Mapping[str, Command]) -> None:
        self._server = server
        self._hub: Hub = server.hub
        self._state = state
        self._log = ThreadLog(logger)
        self._limit = block_warning
        self._loop_watch = LoopWatch(runner, self._log, block_warning)
        #: seconds between two beats
        self.interval = min(BEAT, block_warning * BEAT) if block_warning else BEAT
        self._hub_thread = HubThread(self._hub, server.log)
        self._last_beat = monotonic()
        #: whether the next beat arms the interpreter's traceback, because the thread may not run before the next block
        self._arms_at_beat = block_warning > 0
        self._pipe = posix.pipe()
        for fd in self._pipe:
            os.set_blocking(fd, False)
        self._poll, self._wake_up_poll = self._hub.native_poll(), self._hub.native_poll()
        for poll in (self._poll, self._wake_up_poll):
            poll.register(self._pipe[0], POLLIN)
        self._profiler = Profiler(server, self._hub_thread)
        self._control = self._open_control(commands)
        self._native = NativeTraceback(logger)
        self._stopped = False
        #: called in the thread when a block is reported, with the innermost frame of the hub's thread
        self.on_block: Callable[[FrameType], None] | None = None
        #: the number of blocks so far
        self.block_count = 0
        self._blocks: deque[dict[str, object]] = deque(maxlen=BLOCKS)
        #: the frame that SIGABRT has interrupted
        self._aborted_frame: FrameType | None = None
        self._abort_reported = False
        self._report_done = self._hub.native_lock()
        self._report_done.acquire()

    def start(self) -> None:
        """Start the thread."""
        self._native.write_on_abort()
        self.beat()
        self._hub.start_thread(self._run)

    def beat(self) -> None:
        """Record that the hub runs. The main greenlet calls this at least each :attr:`interval` seconds."""
        self._last_beat = monotonic()
        if self._arms_at_beat:
            self._arms_at_beat = False
            self._native.arm(self.interval + self._limit + GRACE)
        self._hub_thread.make_calls()

    def recent_blocks(self) -> list[dict[str, object]]:
        """Return descriptions of the last blocks, the latest first. Any thread may call this."""
        return [dict(block) for block in reversed(self._blocks.copy())]

    def reopen_log(self) -> None:
        """Write to the log file that has been reopened."""
        self._native.reopen()

    def stop(self) -> None:
        """Stop the thread, because the main greenlet sends no more beats."""
        self._stopped = True
        self._native.disarm()
        self._wake()

    def report_abort(self, frame: FrameType | None) -> None:
        """Let the thread log what runs, and wait for that for at most :data:`ABORT_SECONDS`. For SIGABRT's handler.

        :param frame: the frame that the signal has interrupted
        """
        self._aborted_frame = frame
        self._wake()
        self._report_done.acquire(timeout=ABORT_SECONDS)

    def release_after_fork(self) -> None:
        """Close the file descriptors in a forked process, in which the thread does not exist."""
        self._native.release_after_fork()
        self._profiler.release_after_fork()
        if self._control is not None:
            self._control.release_after_fork()
        for fd in self._pipe:
            posix.close(fd)

    def _open_control(self, commands: Mapping[str, Command]) -> ControlSocket | None:
        """Open the control socket. The worker also serves without it."""
        report = GreenletReport(self._server, self._hub_thread)
        try:
            control = ControlSocket({"stacks": report.make, "profile": self._profiler.run, **commands},
                                    self._hub.start_thread)
        except OSError as error:
            self._log.warning("The control socket cannot be opened: %s. The commands gworkers stacks and gworkers "
                              "profile do not find this worker (pid:%s).", error, os.getpid())
            return None
        self._poll.register(control.fd, POLLIN)
        return control

    def _wake(self) -> None:
        try:
            posix.write(self._pipe[1], b".")
        except BlockingIOError:
            pass

    # The thread

    def _run(self) -> None:
        try:
            while not self._stopped:
                late = monotonic() - self._last_beat - self.interval
                if not self._limit:
                    self._wait(1.0)
                elif late >= self._limit:
                    self._watch_block()
                else:
                    left = self._limit - late
                    # Beats do not postpone the interpreter's traceback. This thread does, so it wakes up long before
                    # that is due. Otherwise a short call that keeps the interpreter's lock would be reported.
                    early = left - self._limit / 2
                    self._wait(min(early if early > 0 else left, self._loop_watch.check()), left + GRACE)
        except Exception as error:
            # The log is the application's. Whatever it does, the worker serves on.
            print_traceback(error)
        finally:
            if self._control is not None:
                self._control.close()

    def _wait(self, seconds: float, silence: float = 0.0) -> None:
        """Wait for a wake-up, for at most *seconds*.

        :param silence: seconds after which the interpreter writes the stack if this thread cannot run; 0 for never
        """
        until = monotonic() + seconds
        if silence:
            self._native.arm(silence)
        # Code that keeps the interpreter's lock may have delayed this thread here.
        self._sleep(max(0.0, until - monotonic()) + 0.001)
        if not self._stopped:
            self._report_abort_if_due()

    def _sleep(self, seconds: float) -> None:
        """Sleep until a wake-up or a client of the control socket, for at most *seconds*."""
        for fd, _ in self._poll.poll(seconds * 1000):
            if fd == self._pipe[0]:
                posix.read(fd, 4096)
            elif self._control is not None:
                self._control.accept()
                # Any user of the machine can connect, and each wake-up costs time of the interpreter.
                self._wake_up_poll.poll(CLIENT_INTERVAL)

    def _watch_block(self) -> None:
        """Report that the hub is blocked, then wait for the end of the block."""
        last = self._last_beat
        frame = self._hub_thread.frame()
        requests = requests_in_flight(self._server, frame)
        running = next((request for request in requests if request.state == "running"), None)
        if frame is not None and running is None and self._runs_no_application(frame):
            # The process was stopped, or the machine is overloaded. The hub runs now, and may be blocked at once.
            self._native.arm(self.interval + self._limit + GRACE)
            self._sleep(CHECK)
            return
        self._native.disarm()
        stack = running.stack if running is not None and running.stack else stack_of(frame)
        began = last if running is None else max(last, monotonic() - running.age)
        self._arms_at_beat = True
        run = run_of(frame)
        outside = OUTSIDE if run is None else f"the background function {run.name}"
        self._log_block(began, running or ("none" if run is None else f"none, but {outside}"), stack)
        block = self._record_block(began, running, stack)
        if self.on_block is not None and frame is not None:
            self.on_block(frame)
        del frame
        while self._last_beat == last and not self._stopped:
            self._sleep(CHECK)
            self._report_abort_if_due()
            # The loop may hold what the hub waits for.
            self._loop_watch.check()
        block["seconds"] = round((monotonic() if self._last_beat == last else self._last_beat) - began, 3)
        if not self._stopped:
            self._log.warning("The hub runs again. It was blocked for %.1f s by %s.", self._last_beat - began,
                              outside if running is None else running.name)

    def _runs_no_application(self, frame: FrameType) -> bool:
        """Whether the hub polls, or the worker itself runs, for example its heartbeat."""
        return self._hub.is_polling(frame) or frame.f_globals.get("__name__", "").partition(".")[0] in OWN_PACKAGES

    def _record_block(self, began: float, running: RequestReport | None, stack: StackSummary) -> dict[str, object]:
        seconds = monotonic() - began
        if running is not None:
            running = running._replace(path=running.path[:PATH_LENGTH])
        block: dict[str, object] = {
            "at": round(time() - seconds, 3), "seconds": round(seconds, 3),
            "place": place(stack[-1]) if stack else "unknown code", "request": str(running or ""),
            "stack": "\n".join(map(place, stack))[-STACK_LENGTH:]}
        self.block_count += 1
        self._blocks.append(block)
        return block

    def _log_block(self, began: float, running: object, stack: StackSummary) -> None:
        self._log.warning(
            "The hub is blocked for %.1f s (pid:%s): %s, request: %s. No other request of this worker is served "
            "meanwhile. Let this code wait cooperatively, or call it in a native thread. Stack:\n%s",
            monotonic() - began, os.getpid(), place(stack[-1]) if stack else "unknown code", running, text(stack))

    def _report_abort_if_due(self) -> None:
        """When the worker is aborted, log the stack that blocks the hub and all requests in flight, once.

        The handler of SIGABRT cannot run while the hub's thread executes C code, but the master has set the state.
        """
        if self._abort_reported or (self._aborted_frame is None and not self._state.aborted):
            return
        self._abort_reported = self._state.reported = True
        frame = self._aborted_frame or self._hub_thread.frame()
        requests = requests_in_flight(self._server, frame)
        described = "".join(f"\n{request}, {request.state}:\n{text(request.stack)}" for request in requests)
        try:
            self._log.warning("The worker (pid:%s) is aborted. Stack of the hub's thread:\n%s\n"
                              "Requests in flight: %s.%s",
                              os.getpid(), text(stack_of(frame)), len(requests), described)
        finally:
            del frame
            self._report_done.release()
