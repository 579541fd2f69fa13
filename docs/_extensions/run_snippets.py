"""Sphinx extension: runs every page's Python blocks, shows what they print, and writes their pictures.

``-D run_snippets=0`` leaves that out, to proof-read the text quickly.
"""

from pathlib import Path
from typing import Any

from snippets import DOCS, pages, run_page, with_output
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)
_printed: dict[str, list[str]] = {}


def run_all(app: Sphinx) -> None:
    """Run the pages, and put each one's pictures into the folder ``pictures`` beside it."""
    if not app.config.run_snippets:
        return
    for page in pages():
        docname = page.relative_to(DOCS).with_suffix("").as_posix()
        run = run_page(page)
        _printed[docname] = run.printed
        for name, content in run.pictures.items():
            picture: Path = page.parent / "pictures" / name
            picture.parent.mkdir(exist_ok=True)
            picture.write_bytes(content)
        logger.info("ran %s: %.1f s", docname, run.seconds)


def add_output(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put what the blocks printed beneath them."""
    if docname in _printed:
        source[0] = with_output(source[0], _printed[docname])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_config_value("run_snippets", True, "env", types=frozenset({bool}))
    app.connect("builder-inited", run_all)
    app.connect("source-read", add_output)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
