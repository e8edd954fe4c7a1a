"""The exceptions of Gunicorn's parser that gworkers raises too.

If a release lacks one, an exception of the same name replaces it, because the response depends on the name.
"""
from __future__ import annotations

from typing import Any

from gunicorn.http.errors import NoMoreData, ParseException

from gworkers.gunicorn_compat import optional

__all__ = ["NoMoreData", "ParseException"]


class _StandIn(ParseException):  # type: ignore[misc]
    def __init__(self, *args: object, req: object = None) -> None:
        super().__init__(*args)


def _stand_in(name: str) -> Any:
    return type(name, (_StandIn,), {})


ConfigurationProblem = optional("gunicorn.http.errors:ConfigurationProblem", _stand_in("ConfigurationProblem"))
InvalidHeader = optional("gunicorn.http.errors:InvalidHeader", _stand_in("InvalidHeader"))
InvalidHeaderName = optional("gunicorn.http.errors:InvalidHeaderName", _stand_in("InvalidHeaderName"))
InvalidProxyLine = optional("gunicorn.http.errors:InvalidProxyLine", _stand_in("InvalidProxyLine"))
InvalidRequestLine = optional("gunicorn.http.errors:InvalidRequestLine", _stand_in("InvalidRequestLine"))
LimitRequestHeaders = optional("gunicorn.http.errors:LimitRequestHeaders", _stand_in("LimitRequestHeaders"))
LimitRequestLine = optional("gunicorn.http.errors:LimitRequestLine", _stand_in("LimitRequestLine"))
UnsupportedTransferCoding = optional(
    "gunicorn.http.errors:UnsupportedTransferCoding", _stand_in("UnsupportedTransferCoding"))
