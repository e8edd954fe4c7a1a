"""The jobs of rq_app.py. The worker of RQ imports this module too."""


def double(number):
    return 2 * number
