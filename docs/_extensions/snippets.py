"""The Python blocks of a page, run as a reader would run them: in order, in one session.

The site shows what they print and the pictures that they save; the tests run them too. A page's pictures are
those that its blocks write into the working folder, which is a temporary one; ``![text](pictures/name.png)``
shows them, and ``[text](pictures/name.html)`` leads to a page that they wrote.
"""

import importlib.util
import logging
import os
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DOCS = REPOSITORY / "docs"
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\S*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
NEEDS = re.compile(r"^# needs (\w+)")
"""The first line of a block that runs only where a library is installed."""
PICTURE = re.compile(r"!?\[[^\]]*\]\(pictures/([^)]+\.(?:png|html))\)")
WRITTEN = ("*.png", "*.html")


@dataclass
class PageRun:
    """What came of a page's blocks.

    Attributes:
        printed: for each block what it printed, "" for nothing.
        pictures: the pictures and pages that were written, by name.
        missing: the libraries without which a block was left out.
        seconds: processor time that it took.
    """

    missing: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)
    seconds: float = 0.0


def pages() -> list[Path]:
    """The pages that have Python blocks."""
    every = sorted(DOCS.rglob("*.md"))
    return [path for path in every if PYTHON_BLOCK.search(path.read_text(encoding="utf-8"))]


def run_page(page: Path) -> PageRun:
    """Run all blocks of a page.

    Raises:
        RuntimeError: a block failed; the message says which, the cause why.
    """
    import torch

    text = page.read_text(encoding="utf-8")
    name = page.relative_to(DOCS)
    run = PageRun()
    begin = time.process_time()
    torch.manual_seed(0)
    session: dict[str, object] = {"__name__": "__main__"}
    with working_folder() as folder:
        for number, found in enumerate(PYTHON_BLOCK.finditer(text), start=1):
            needs = NEEDS.match(found[1])
            if needs is not None and importlib.util.find_spec(needs[1]) is None:
                run.missing.append(needs[1])
                run.printed.append("")
                continue
            printed = StringIO()
            line = text[: found.start(1)].count("\n")
            code = compile("\n" * line + found[1], str(page), "exec")  # tracebacks tell the page's own lines
            try:
                with redirect_stdout(printed), redirect_stderr(StringIO()):
                    exec(code, session)
            except Exception as error:
                raise RuntimeError(
                    f"{name}: Python block {number}, line {line + 1}, failed: {error}"
                ) from error
            run.printed.append(printed.getvalue().rstrip())
        run.pictures = {
            path.name: path.read_bytes() for ending in WRITTEN for path in sorted(folder.glob(ending))
        }
    run.seconds = time.process_time() - begin
    return run


def with_output(text: str, printed: list[str]) -> str:
    """The page's text with what each Python block printed beneath it."""
    outputs = iter(printed)

    def add(found: re.Match[str]) -> str:
        output = next(outputs)
        return f"{found[0]}\n\n```text\n{output}\n```" if output else found[0]

    return PYTHON_BLOCK.sub(add, text)


@contextmanager
def working_folder() -> Iterator[Path]:
    """A temporary working folder that looks like a clone's root; Lightning and ONNX are kept quiet."""
    import lightning.pytorch  # noqa: F401  # first, for it sets the level of its messages when it is imported

    before = Path.cwd()
    folder = Path(tempfile.mkdtemp(prefix="seqlight-docs-"))
    talkative = ("lightning.pytorch", "lightning.fabric", "onnx_ir", "onnxscript")
    loggers = [logging.getLogger(name) for name in talkative]
    levels = [logger.level for logger in loggers]
    try:
        for name in ("examples", "seqlight"):
            (folder / name).symlink_to(REPOSITORY / name)
        os.chdir(folder)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield folder
    finally:
        os.chdir(before)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        shutil.rmtree(folder)
