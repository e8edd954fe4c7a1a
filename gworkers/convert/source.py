"""The text of a configuration file of uWSGI, from a regular file or from stdin."""
from __future__ import annotations

import io
import os

from gworkers.files import NotRegularFileError, open_regular_file

#: More than any configuration has. A larger file is something else.
LARGEST = 1024 * 1024


class SourceError(Exception):
    """The file cannot be converted. The message is for the user."""


def read(path: str, fix: str = "Name a configuration file of uWSGI.") -> str:
    """Return the text of the file at *path*, or of stdin if it is ``-``.

    :param fix: what to do if it cannot be read
    :raises SourceError: if it cannot be read or is not text
    """
    name = "stdin" if path == "-" else path
    try:
        with io.FileIO(os.dup(0) if path == "-" else open_regular_file(path)) as file:
            data = _content(file)
    except NotRegularFileError as error:
        raise SourceError(f"{name} cannot be read: {error.strerror}. {fix}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{name} cannot be read: {reason}. {fix}") from None
    if len(data) > LARGEST:
        raise SourceError(f"{name} is larger than {LARGEST} bytes, so it is not a configuration of uWSGI.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise SourceError(f"{name} is not text in UTF-8. Name a configuration file of uWSGI, and save it as UTF-8.")
    return text


def _content(file: io.FileIO) -> bytes:
    """Return what the file contains, and a little more than LARGEST at most."""
    data = bytearray()
    while len(data) <= LARGEST and (more := file.read(65536)):
        data += more
    return bytes(data)


