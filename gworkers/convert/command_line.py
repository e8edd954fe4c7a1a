"""The command line of `gworkers convert`."""
from __future__ import annotations

import argparse
import os
import sys
from typing import TextIO

from gworkers.convert.configuration import load
from gworkers.convert.conversion import convert
from gworkers.convert.source import SourceError
from gworkers.convert.writing import config, report
from gworkers.inspection.printable import one_line


def main(words: list[str]) -> int:
    """Run ``gworkers convert`` with the arguments *words*. Return the exit status."""
    parser = argparse.ArgumentParser(prog="gworkers convert", allow_abbrev=False,
                                     description="Print a gunicorn.conf.py for a configuration of uWSGI.")
    parser.add_argument("file", metavar="FILE[:SECTION]", help="uwsgi.ini, or a file in YAML, JSON or XML; - is stdin")
    name: str = parser.parse_args(words).file
    try:
        draft = convert(load(name))
    except SourceError as error:
        sys.stderr.write(f"gworkers convert: {one_line(str(error))}\n")
        return 2
    report_text = f"gworkers convert: these options need a decision:\n{report(draft.notes)}\n" if draft.notes else ""
    try:
        _write(config(draft, name), sys.stdout, 1)
        _write(report_text, sys.stderr, 2)
    except BrokenPipeError:
        # The reader closed the pipe, as head(1) does.
        return 0
    except OSError as error:
        sys.stderr.write(f"gworkers convert: the output cannot be written: {error.strerror}.\n")
        return 1
    return 0


def _write(text: str, stream: TextIO | None, descriptor: int) -> None:
    """Write *text*, with characters escaped that the encoding of the stream does not have."""
    data = text.encode((stream and stream.encoding) or "utf-8", "backslashreplace")
    while data:
        data = data[os.write(descriptor, data):]
