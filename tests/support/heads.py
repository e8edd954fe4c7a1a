"""Request heads for a HeadParser, whole or in pieces."""

from __future__ import annotations

import pytest
from gunicorn.config import Config

from gworkers.errors import Refusal
from gworkers.http1.head import HeadParser

PEER = ("192.0.2.1", 4711)


def no_fast_parser(cfg):
    """Stands in for FastParser where all heads go to Gunicorn's parser."""


def heads(fast, **settings):
    """A HeadParser; *fast* is FastParser or no_fast_parser."""
    config = Config()
    for name, value in settings.items():
        config.set(name, value)
    return HeadParser(config, fast(config))


def parse(heads, data, trusted=False, number=1):
    return heads.parse(data, 0, PEER, trusted, number)


def refusal(heads, data, **more):
    with pytest.raises(Refusal) as caught:
        parse(heads, data, **more)
    return caught.value


def feed(heads, pieces, number=1):
    """What becomes of *pieces*, one after the other, and how many bytes it took."""
    data = bytearray()
    for piece in pieces:
        seen = len(data)
        data += piece
        request = heads.parse(data, seen, PEER, False, number)
        if request is not None:
            return request, len(data)
    return None, len(data)
