"""The formats of a configuration of uWSGI: INI in uWSGI's own dialect, YAML, JSON and XML."""
from __future__ import annotations

import json
import os.path
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from xml.etree import ElementTree

from gworkers.convert.source import SourceError

DEFAULT_SECTION = "uwsgi"
#: An item of a list in YAML, in quotes or without.
ITEM = re.compile(r"""\"[^\"]*\"|'[^']*'|[^\s,'\"][^,]*""")


class Line(NamedTuple):
    """One option as it stands in a file.

    :param number: of its line, or of its place among the options of a format without lines
    """

    number: int
    key: str
    value: str


def lines(text: str, path: str, section: str) -> list[Line]:
    """Return the options in the section of a configuration. The suffix of *path* gives the format.

    :raises SourceError: if the text has no such section, or is not of the format
    """
    suffix = os.path.splitext(path)[1].lower()
    found = list(FORMATS.get(suffix, _ini)(text, path, section))
    if not found:
        raise SourceError(f"{path} has no options in a section [{section}]. Name the configuration file of uWSGI, "
                          f"or FILE:SECTION for another section.")
    return found


def _ini(text: str, _path: str, section: str) -> Iterator[Line]:
    """uWSGI's dialect: a section may occur twice, keys repeat, comments fill a whole line, an option needs no value."""
    current = None
    # Not splitlines(), which also breaks lines at characters that uWSGI takes as text.
    for number, line in enumerate(re.split(r"\r?\n", text), 1):
        line = line.strip()
        if line.startswith("["):
            current = line[1:].partition("]")[0]
        elif line and not line.startswith((";", "#")) and current == section:
            key, _, value = line.partition("=")
            yield Line(number, key.strip(), value.strip())


def _yaml(text: str, _path: str, section: str) -> Iterator[Line]:
    """The part of YAML that uWSGI reads without a library: one section, keys with a value or with a list.

    Lists in brackets, for which uWSGI needs libyaml, are read too.
    """
    current = key = None
    for number, line in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*", "", line).rstrip()
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not line or line in ("---", "..."):
            continue
        if not line[0].isspace() and not line.startswith("-"):
            current = name
        elif current == section and line.lstrip().startswith("- ") and key:
            yield Line(number, key, _unquoted(line.lstrip()[2:]))
        elif current == section and colon:
            key = _unquoted(name)
            if value:
                yield from (Line(number, key, _unquoted(item)) for item in _items(value))


def _items(value: str) -> list[str]:
    """Return the items of a list in brackets, or a value that is no list."""
    if not (value.startswith("[") and value.endswith("]")):
        return [value]
    return ITEM.findall(value[1:-1])


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _json(text: str, path: str, section: str) -> Iterator[Line]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not JSON: {error}.") from None
    options = document.get(section) if isinstance(document, dict) else None
    number = 0
    for key, value in (options.items() if isinstance(options, dict) else ()):
        for single in value if isinstance(value, list) else [value]:
            number += 1
            yield Line(number, _flat(key), _flat(_text(single)))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _flat(text: str) -> str:
    """Return the text in one line, like a value in the other formats."""
    return " ".join(text.split())


def _xml(text: str, path: str, section: str) -> Iterator[Line]:
    if "<!" in re.sub(r"(?s)<!--.*?-->", "", text):
        # An entity can expand to any size.
        raise SourceError(f"{path} has a document type declaration or CDATA. Remove it and run this again.")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not XML: {error}.") from None
    number = 0
    for element in [element for element in root.iter() if element.tag == section]:
        for option in element:
            number += 1
            yield Line(number, _flat(option.tag), _flat(option.text or ""))


FORMATS: dict[str, Callable[[str, str, str], Iterator[Line]]] = {
    ".yml": _yaml, ".yaml": _yaml, ".js": _json, ".json": _json, ".xml": _xml}
