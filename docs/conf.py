"""The configuration of Sphinx: it makes a site of the pages in this directory. docs/development.md has the command."""

from __future__ import annotations

import re
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

DOCS = Path(__file__).parent
#: Files outside of this directory are not part of the site.
SOURCE = "https://github.com/gworkers/gworkers/blob/main/"

project = "gworkers"
author = "gworkers contributors"
html_title = "gworkers"

extensions = ["myst_parser"]
nitpicky = True
# The anchors of headings are those that GitHub makes.
myst_heading_anchors = 4
# A block of code without a language is the output of a program.
highlight_language = "none"

# tests/project/test_docs.py checks these.
linkcheck_ignore = [re.escape(SOURCE)]

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["tables.css"]
# Without a number of a version: the site describes the branch that it was built from.
html_show_sourcelink = False
html_theme_options = {
    "source_repository": "https://github.com/gworkers/gworkers/",
    "source_branch": "main",
    "source_directory": "docs/",
}


#: A link to a file, in Markdown: its path and its anchor.
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def link_to_repository(app: Sphinx, page: str, source: list[str]) -> None:
    """Let links to files outside of this directory lead to GitHub."""
    directory = (DOCS / page).parent

    def absolute(link: re.Match[str]) -> str:
        file = (directory / link[1]).resolve()
        if file.is_relative_to(DOCS):
            return link[0]
        return f"]({SOURCE}{file.relative_to(DOCS.parent).as_posix()}{link[2] or ''})"

    source[0] = LINK.sub(absolute, source[0])


def link_tests(app: Sphinx, page: str, source: list[str]) -> None:
    """Let the tests in the tables of migrate/ be short links: their names would take a third of the width."""
    if page.startswith("migrate/"):
        source[0] = re.sub(r"`(test_\w+\.py)(::\w+)?`", test_link, source[0])


def test_link(name: re.Match[str]) -> str:
    file = next((DOCS.parent / "tests").rglob(name[1])).relative_to(DOCS.parent)
    return f'[test]({SOURCE}{file.as_posix()} "{name[1]}{name[2] or ""}")'


def make_toctrees(app: Sphinx, page: str, source: list[str]) -> None:
    """Give the index a toctree for each of its sections: the pages to which the section links.

    So index.md has one list of the pages, and GitHub shows no directives of Sphinx.
    """
    if page == "index":
        first, *sections = re.split(r"^## ", source[0], flags=re.MULTILINE)
        source[0] = "## ".join([first, *map(with_toctree, sections)])


def with_toctree(section: str) -> str:
    links = [link[1] for link in LINK.finditer(section)]
    pages = dict.fromkeys(link for link in links if (DOCS / link).is_file() and not link.startswith(".."))
    if not pages:
        return section
    lines = ["```{toctree}", f":caption: {section.partition(chr(10))[0]}", ":hidden:", "", *pages, "```"]
    return "\n".join([section.rstrip(), "", *lines, "", ""])


def setup(app: Sphinx) -> None:
    # Pygments has no lexer for HAProxy's configuration.
    app.add_lexer("haproxy", TextLexer)
    app.connect("source-read", link_to_repository)
    app.connect("source-read", link_tests)
    app.connect("source-read", make_toctrees)
