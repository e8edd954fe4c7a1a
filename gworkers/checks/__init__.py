"""What is looked at when a worker starts, each concern in a module of its own.

``requirements`` stops a worker that could not keep requests apart; ``patching``, ``drivers`` and
``deployment`` warn of what will hurt later. They are functions from facts to findings; who asks
decides what to do about them: the worker logs or refuses, ``gworkers doctor`` prints.
"""
