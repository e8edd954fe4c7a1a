"""The master's listening sockets when ``bind`` changes in a reload."""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gunicorn import sock

from gworkers.master.reload import log_refused


class Listeners:
    """Which sockets the master listens on, by address.

    Gunicorn closes all of them and binds all addresses again, which fails, and stops the server, if one that
    stays is still in use by the workers that run. Here those that stay are kept.

    :param arbiter: the master; its listeners are those of its configuration
    """

    def __init__(self, arbiter: Any) -> None:
        self._arbiter = arbiter
        #: in the order of ``bind``; not ours to change if systemd has opened them, or if every worker opens its own
        self._addresses = arbiter.cfg.address if len(arbiter.cfg.address) == len(arbiter.LISTENERS) else None
        self._before: tuple[list[Any], list[Any]] | None = None
        # New workers do not accept there, and clients must not wait at an address where nobody ever will.
        os.register_at_fork(after_in_child=self._forget)

    def change(self, bind: list[str]) -> bool:
        """Listen on the addresses *bind* from now on, and on those of before until :meth:`keep` or :meth:`restore`.

        :returns: False, logged, if one of them cannot be had; then all is as it was
        """
        arbiter = self._arbiter
        cfg = arbiter.cfg
        before = cfg.bind
        cfg.set("bind", bind)
        addresses = cfg.address
        if self._addresses is None or addresses == self._addresses or arbiter.systemd:
            return True
        # Of the last change nobody may know yet whether it works: what was there before it is to go back to.
        tried = self._addresses, arbiter.LISTENERS
        served = tried if self._before is None else self._before
        known = {**dict(zip(*served)), **dict(zip(*tried))}
        cfg.set("bind", [spelled for spelled, address in zip(bind, addresses) if address not in known])
        try:
            if cfg.bind:
                known.update(zip(cfg.address, sock.create_sockets(cfg, arbiter.log)))
        except (SystemExit, OSError, ValueError) as error:
            if not isinstance(error, SystemExit):
                arbiter.log.error("%s", error)
            log_refused(arbiter.log, "an address cannot be bound, see the messages above")
            cfg.set("bind", before)
            return False
        # So that Gunicorn finds nothing to do.
        cfg.set("bind", bind)
        self._before = served
        self._addresses = addresses
        arbiter.LISTENERS = [known[address] for address in addresses]
        _remove(tried[1], served[1] + arbiter.LISTENERS)
        arbiter.log.info("Listening at: %s", ",".join(map(str, arbiter.LISTENERS)))
        return True

    def keep(self) -> None:
        """Give up what was listened on before the last change. Workers of that time have it still, until they end."""
        if self._before is not None:
            _remove(self._before[1], self._arbiter.LISTENERS)
            self._before = None

    def _forget(self) -> None:
        if self._before is not None:
            _close(self._before[1], self._arbiter.LISTENERS)
            self._before = None

    def restore(self) -> None:
        """Go back to what was listened on before the last change."""
        if self._before is not None:
            changed = self._arbiter.LISTENERS
            self._addresses, self._arbiter.LISTENERS = self._before
            self._before = None
            _remove(changed, self._arbiter.LISTENERS)


def _remove(listeners: list[Any], kept: list[Any]) -> None:
    """Close *listeners* but for those in *kept*, and take away the files of those closed."""
    for address in _close(listeners, kept):
        if isinstance(address, str) and not is_lost(address):
            os.unlink(address)


def _close(listeners: list[Any], kept: list[Any]) -> list[Any]:
    """Close *listeners* but for those in *kept*; return the addresses of those closed."""
    closed = []
    for listener in listeners:
        if listener not in kept:
            closed.append(listener.getsockname())
            listener.close()
    return closed


@contextmanager
def left_to_worker(cfg: Any, listeners: list[Any]) -> Iterator[None]:
    """The context in which the arbiter forks a worker: Gunicorn is not to open the worker's own sockets."""
    own = cfg.reuse_port and not listeners and all(isinstance(address, tuple) for address in cfg.address)
    if own:
        cfg.set("reuse_port", False)
    try:
        yield
    finally:
        if own:
            cfg.set("reuse_port", True)


def is_lost(address: Any) -> bool:
    """Whether *address* is the path of a socket, and there is no file any more."""
    return isinstance(address, str) and not address.startswith("\0") and not os.path.lexists(address)
