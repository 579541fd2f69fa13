"""What the commands say when the user has to mend something: short, on standard error, exit code 2."""

import sys

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
MAX_LINES = 4  # Lightning may have said a line of its own before; five in all is the limit


class CommandError(Exception):
    """Something the user can mend: a wrong option, a file that is not there, data that cannot be used.

    ``main`` prints the message, at most four lines of it, and exits with code 2, with no traceback.
    """


def is_user_error(error: BaseException) -> bool:
    """Whether ``error`` is the user's to mend: a :class:`CommandError` or a ``seqlight.data.DataError``."""
    if isinstance(error, CommandError):
        return True
    # seqlight.data is looked up, not imported: if it was never imported, the error cannot be one of its own.
    data = sys.modules.get("seqlight.data")
    return data is not None and isinstance(error, data.DataError)


def message_lines(error: BaseException) -> list[str]:
    """The message of ``error`` as at most four lines, the last of which says what was left out."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    lines[0] = f"seqlight: error: {lines[0]}"
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], f"  ... and {len(lines) - MAX_LINES + 1} more lines"]
    return lines
