"""jsonargparse's and Lightning's errors, cut down to what the user can mend."""

import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import seqlight

_KEY = re.compile(r'^\s*(?:- )?Parser key "([^"]+)":?\s*')
# Lines about the other members of a union of types: "or None", "or a path".
_NOISE = re.compile(
    r"<class 'NoneType'>|Expected a path but|^Problem with given class_path|^Does not validate against"
    r"|^Subtypes:|^Errors:|^Given value|^$"
)
_REQUIRED = re.compile(r"required: (?:fit|validate|test|predict)\.")
_LINK = re.compile(r"^Call to compute_fn of link .*? with args \(.*?\) failed: ")
_NO_CLASS = re.compile(r"Expected a dot import path string: (.+)")


def condense(message: str) -> str:
    """One or two lines of a parser's error: the option and what is wrong with it.

    ``Parser key "model": ... Does not validate against any of the Union subtypes ... - Option 'hidde' is not
    accepted ... - Expected a <class 'NoneType'>`` becomes ``--model: Option 'hidde' is not accepted``.
    A message of another form comes back as it is.
    """
    message = _LINK.sub("", message)
    if not _KEY.match(message) and "Does not validate against" not in message:
        return _REQUIRED.sub("required: --", message)
    keys, found = [], []
    for line in message.splitlines():
        match = _KEY.match(line)
        if match:
            keys.append(match[1])
            line = line[match.end() :]
        line = line.strip().removeprefix("- ").strip()
        if _NOISE.search(line):
            continue
        no_class = _NO_CLASS.match(line)
        found.append(f"there is no class {no_class[1]!r}" if no_class else line)
    problem = "; ".join(dict.fromkeys(found)) or "not a valid value"
    return f"--{'.'.join(keys)}: {problem}" if keys else problem


def as_options(message: str) -> str:
    """Replace arguments of model, data and Trainer by options: ``lr=0.1`` becomes ``--model.lr=0.1``."""
    message = re.sub(r"\b(lr|transform)=", r"--model.\1=", message)
    message = re.sub(r"\b(origin|as_of)=", r"--data.\1=", message)
    return re.sub(r"\b(gradient_clip_val|precision)=", r"--trainer.\1=", message)


def raised_within(error: BaseException, packages: tuple[str, ...]) -> bool:
    """Whether the statement that raised ``error``, or its first cause, is in one of the named packages."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    module = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module = frame.f_globals.get("__name__", "")
    return module.partition(".")[0] in packages


def missing_package(error: BaseException | None) -> str | None:
    """Return what seqlight said of a package that is not installed, if that is behind ``error``."""
    while error is not None:
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        here = bool(frames) and frames[-1].f_globals.get("__name__", "").partition(".")[0] == "seqlight"
        if here and isinstance(error, ImportError):
            return str(error)
        error = error.__cause__ or error.__context__
    return None


def note_or_warning(show: Callable[..., Any]) -> Callable[..., Any]:
    """Return a ``warnings.showwarning`` that prints our own as one line; ``show`` prints the others."""
    package = str(Path(seqlight.__file__).parent)

    def print_note(
        message: Warning | str, category: type[Warning], filename: str, *arguments: Any, **options: Any
    ) -> None:
        if category is UserWarning and filename.startswith(package):
            print(f"note: {message}", file=sys.stderr)
        else:
            show(message, category, filename, *arguments, **options)

    return print_note
