"""The checks at the start of a worker, one module for each concern.

``requirements`` stops a worker that could not isolate requests. ``patching``, ``drivers`` and
``deployment`` warn of later problems. A check is a function that returns findings. The caller decides
what to do with them: the worker logs them or refuses to start, ``gworkers doctor`` prints them.
"""
