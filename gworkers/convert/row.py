"""A row of the table of uWSGI's options."""
from __future__ import annotations

from dataclasses import dataclass

from gworkers.convert.rules import Rule, missing, nothing


@dataclass(frozen=True)
class Row:
    """Options that become the same thing.

    :param names: of the options, separated by spaces; one that ends in ``*`` stands for all that begin like it
    :param here: what it is here, in Markdown
    :param rule: adds the setting
    :param advice: what a person has to decide, if anything
    :param switch: whether the option has no meaning if its value is false
    """

    names: str
    here: str
    rule: Rule
    advice: str = ""
    switch: bool = False


def needless(names: str, here: str) -> Row:
    """A row of options that need no setting."""
    return Row(names, here, nothing)


def absent(names: str, here: str) -> Row:
    """A row of options without an equivalent; *here* says what to do."""
    return Row(names, here, missing, here.replace("`", ""), switch=True)


def served(names: str, here: str, rule: Rule, advice: str = "", *, on: bool = False) -> Row:
    """A row of options that become settings, perhaps with advice. With *on*, only if they are not turned off."""
    return Row(names, here, rule, advice, switch=on)
