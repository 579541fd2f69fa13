"""Messages of the Python interface in the words of ``seqlight forecast``'s options."""

import ast
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from seqlight.cli.errors import CommandError, is_user_error

OPTIONS = {
    "time_col": "--time",
    "target_cols": "--target",
    "id_col": "--id",
    "context_length": "--context",
    "prediction_length": "--horizon",
    "season_length": "--season",
    "frequency": "--frequency",
    "calendar": "--calendar",
    "time_format": "--time-format",
    "missing": "--missing",
    "skip_short": "--skip-short",
    "origin": "--origin",
    "past_covariate_cols": "--past-covariate",
    "future_covariate_cols": "--future-covariate",
    "static_cols": "--static",
    "future": "--future",
    "static": "--static-file",
    "as_of": "--as-of",
    "separator": "--separator",
    "decimal_comma": "--decimal-comma",
    "encoding": "--encoding",
    "thousands": "--thousands",
    "missing_values": "--missing-value",
    "skip_rows": "--skip-rows",
    "skip_footer": "--skip-footer",
    "layout": "--layout",
    "round": "--round",
    "sheet": "--sheet",
    "file_id": "--file-id",
    "max_time": "--max-time",
}

# An argument with the value to pass (separator=';'), one that no prose would contain (time_col), or one that
# begins a message ("encoding: ...").
_WITH_VALUE = re.compile(rf"\b({'|'.join(OPTIONS)})=(\[[^\]]*\]|'[^']*'|\"[^\"]*\"|\w+)")
_UNMISTAKABLE = re.compile(
    rf"(?<![\w/'\"-])({'|'.join(name for name in OPTIONS if '_' in name)})(?![\w/'\"-])"
)
_AT_THE_START = re.compile(rf"^({'|'.join(OPTIONS)})(?=:)")


def as_options(message: str) -> str:
    """Replace Python arguments by options: ``encoding='latin-1'`` becomes ``--encoding 'latin-1'``."""

    def with_value(match: re.Match[str]) -> str:
        option, value = OPTIONS[match[1]], match[2]
        if value == "None" and option == "--time":
            return "--time none"
        if value == "False" and option == "--decimal-comma":
            return "--decimal-point"
        if value.startswith("["):
            return " ".join(f"{option} {shlex.quote(str(one))}" for one in ast.literal_eval(value))
        return option if value == "True" else f"{option} {value}"

    message = _WITH_VALUE.sub(with_value, message)
    message = _AT_THE_START.sub(lambda match: OPTIONS[match[1]], message)
    return _UNMISTAKABLE.sub(lambda match: OPTIONS[match[1]], message)


def percent(share: float) -> str:
    """Return a share, 0 to 1, as a percentage of two digits; of more digits near 100 %."""
    return f"{100 * share:.2g}%" if share < 0.99 else f"{100 * share:.4g}%"


@contextmanager
def in_words_of_options() -> Iterator[None]:
    """Turn what the user has to mend, if the block raises it, into a :class:`CommandError` about options."""
    try:
        yield
    except Exception as error:
        if not is_user_error(error) or isinstance(error, CommandError):
            raise
        raise CommandError(as_options(str(error))) from error
