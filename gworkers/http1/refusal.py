"""The response to a request that is refused: the same as that of Gunicorn's own workers."""
from __future__ import annotations

import html
from typing import TYPE_CHECKING

from gworkers.errors import Refusal

if TYPE_CHECKING:
    from gworkers.http1.response_head import ResponseHeads

_REASONS = {403: "Forbidden", 414: "URI Too Long", 417: "Expectation Failed",
            431: "Request Header Fields Too Large", 500: "Internal Server Error"}

#: Status and text of the responses to Gunicorn's exceptions, in which %s stands for the text of the exception. The
#: keys are names, because not every release has all exceptions. Any other exception leads to a 400 with its text.
_RESPONSES = {
    "InvalidRequestLine": (400, "Invalid Request Line '%s'"),
    "InvalidRequestMethod": (400, "Invalid Method '%s'"),
    "InvalidHTTPVersion": (400, "Invalid HTTP Version '%s'"),
    "InvalidProxyLine": (400, "'%s'"),
    "ForbiddenProxyRequest": (403, "Request forbidden"),
    "LimitRequestLine": (414, "%s"),
    "ExpectationFailed": (417, "%s"),
    "LimitRequestHeaders": (431, "Error parsing headers: '%s'"),
    "ConfigurationProblem": (500, "%s"),
    "UnsupportedTransferCoding": (501, "%s"),
}


def refusal_for(error: Exception) -> Refusal:
    """Return the refusal of a request on which Gunicorn's parser raised *error*."""
    status, text = _RESPONSES.get(type(error).__name__, (400, "%s"))
    message = str(error)
    return Refusal(status, _REASONS.get(status, "Bad Request"), message, text.replace("%s", message))


def error_page(heads: ResponseHeads, status: int, reason: str, detail: str, fields: str = "") -> bytes:
    """Return a complete error response, which closes the connection.

    :param detail: the text of the page; it is escaped
    :param fields: lines of header fields to add
    """
    page = (f"<html>\n  <head>\n    <title>{reason}</title>\n  </head>\n  <body>\n"
            f"    <h1><p>{reason}</p></h1>\n    {html.escape(detail)}\n  </body>\n</html>\n")
    # Each character is one byte in Latin-1.
    return heads.start(f"{status} {reason}", "close", (1, 1)) + (
        f"{fields}Content-Type: text/html\r\nContent-Length: {len(page)}\r\n\r\n{page}").encode("latin-1", "replace")
