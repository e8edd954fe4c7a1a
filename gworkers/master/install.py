"""Installing the management of reloads in Gunicorn's arbiter, if the installed Gunicorn permits that."""
from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from gworkers.error_text import describe
from gworkers.gunicorn_compat import check_instance, failed, incompatible, works
from gworkers.gunicorn_internals import ARBITER, Feature
from gworkers.shared_state import SERVER_STATE
from gworkers.systemd import NOTIFIER


def install_when_ready(cfg: Any) -> None:
    """Take charge of the arbiter in its ``when_ready`` hook, before the configured hook is called."""
    if not works(Feature.MANAGED_RELOADS):
        return
    configured = cfg.when_ready

    def when_ready(arbiter: Any) -> None:
        take_charge(arbiter)
        if not SERVER_STATE.reloads_managed:
            # Gunicorn could not do it, see ConfigurableWorker.setup().
            NOTIFIER.release(os.environ)
            NOTIFIER.send("READY=1")
        configured(arbiter)

    cfg.set("when_ready", when_ready)


def take_charge(arbiter: Any) -> None:
    """Let *arbiter* manage generations from now on. A second call has no effect.

    If that fails, the arbiter is left unchanged, and a warning is logged.
    """
    finding = incompatible(Feature.MANAGED_RELOADS)
    if finding is not None:
        # If the server has started with a gworkers class, check_config() has logged it.
        if hasattr(arbiter, "log") and not hasattr(getattr(arbiter, "worker_class", None), "hub_name"):
            arbiter.log.warning("%s", finding)
        return
    # Imported after the comparison, because its modules import the names that are compared.
    generations = import_module("gworkers.master.generations").Generations
    original = type(arbiter)
    if issubclass(original, generations):
        return
    finding = check_instance(Feature.MANAGED_RELOADS, ARBITER, arbiter)
    if finding is not None:
        arbiter.log.warning("%s", finding)
        return
    try:
        # A custom application may have an arbiter class of its own, which stays a base of the new class.
        arbiter.__class__ = type("Generations", (generations, original), {})
        arbiter.begin()
    except (AttributeError, TypeError) as error:
        arbiter.__class__ = original
        arbiter.log.warning("%s", failed(Feature.MANAGED_RELOADS, describe(error)))
