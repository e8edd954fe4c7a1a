"""The master's listening sockets when ``bind`` changes in a reload."""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gunicorn import sock

from gworkers.gunicorn_compat import works
from gworkers.gunicorn_internals import Feature
from gworkers.master.reload import log_refused


class Listeners:
    """The sockets that the master listens on, by address.

    Gunicorn closes all sockets and binds all addresses again. If an address stays the same, that fails and stops the
    server, because the running workers still use it. Here the sockets of such addresses are kept.

    :param arbiter: the master, which listens on the addresses of its configuration
    """

    def __init__(self, arbiter: Any) -> None:
        self._arbiter = arbiter
        #: The addresses, in the order of ``bind``. None if systemd or each worker opens the sockets.
        self._addresses = arbiter.cfg.address if len(arbiter.cfg.address) == len(arbiter.LISTENERS) else None
        self._before: tuple[list[Any], list[Any]] | None = None
        # New workers do not accept at the previous addresses. If they kept copies of those sockets, the kernel would
        # still queue clients there.
        os.register_at_fork(after_in_child=self._close_previous)

    def change(self, bind: list[str]) -> bool:
        """Listen on the addresses *bind*, and on the previous ones too until :meth:`keep` or :meth:`restore`.

        :returns: whether all addresses could be bound. If not, that has been logged, and nothing changes.
        """
        arbiter = self._arbiter
        cfg = arbiter.cfg
        previous_bind = cfg.bind
        cfg.set("bind", bind)
        addresses = cfg.address
        if self._addresses is None or addresses == self._addresses or arbiter.systemd:
            return True
        # The previous change may still be on trial. Then restore() must go back to the sockets from before that change.
        current = self._addresses, arbiter.LISTENERS
        before = current if self._before is None else self._before
        known = {**dict(zip(*before)), **dict(zip(*current))}
        cfg.set("bind", [spelled for spelled, address in zip(bind, addresses) if address not in known])
        try:
            if cfg.bind:
                known.update(zip(cfg.address, sock.create_sockets(cfg, arbiter.log)))
        except (SystemExit, OSError, ValueError) as error:
            if not isinstance(error, SystemExit):
                arbiter.log.error("%s", error)
            log_refused(arbiter.log, "an address cannot be bound, see the messages above")
            cfg.set("bind", previous_bind)
            return False
        # Gunicorn's reload must find no change when it compares the addresses before and after.
        cfg.set("bind", bind)
        self._before = before
        self._addresses = addresses
        arbiter.LISTENERS = [known[address] for address in addresses]
        _remove(current[1], before[1] + arbiter.LISTENERS)
        arbiter.log.info("Listening at: %s", ",".join(map(str, arbiter.LISTENERS)))
        return True

    def keep(self) -> None:
        """Close the sockets from before the last change. Earlier workers keep their copies until they end."""
        if self._before is not None:
            _remove(self._before[1], self._arbiter.LISTENERS)
            self._before = None

    def _close_previous(self) -> None:
        if self._before is not None:
            _close(self._before[1], self._arbiter.LISTENERS)
            self._before = None

    def restore(self) -> None:
        """Listen again on the addresses from before the last change."""
        if self._before is not None:
            changed = self._arbiter.LISTENERS
            self._addresses, self._arbiter.LISTENERS = self._before
            self._before = None
            _remove(changed, self._arbiter.LISTENERS)


def _remove(listeners: list[Any], kept: list[Any]) -> None:
    """Close the *listeners* that are not in *kept*, and remove the files of their Unix sockets."""
    for address in _close(listeners, kept):
        if isinstance(address, str) and not is_lost(address):
            os.unlink(address)


def _close(listeners: list[Any], kept: list[Any]) -> list[Any]:
    """Close the *listeners* that are not in *kept*, and return their addresses."""
    closed = []
    for listener in listeners:
        if listener not in kept:
            closed.append(listener.getsockname())
            listener.close()
    return closed


@contextmanager
def left_to_worker(cfg: Any, listeners: list[Any]) -> Iterator[None]:
    """The context of a fork. With ``reuse_port`` Gunicorn opens no sockets in it, because the worker opens its own."""
    own = (works(Feature.OWN_SOCKETS) and cfg.reuse_port and not listeners
           and all(isinstance(address, tuple) for address in cfg.address))
    if own:
        cfg.set("reuse_port", False)
    try:
        yield
    finally:
        if own:
            cfg.set("reuse_port", True)


def is_lost(address: Any) -> bool:
    """Whether *address* is the path of a Unix socket whose file does not exist any more."""
    return isinstance(address, str) and not address.startswith("\0") and not os.path.lexists(address)
