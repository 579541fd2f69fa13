"""What the commands say when the user has to mend something: short, on standard error, exit code 2."""

import errno
import sys

from seqlight.whole_files import WriteError

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
EXIT_NO_READER = 141  # 128 + SIGPIPE
# What the system says of a disk, a folder or a limit, and not of a mistake in a program.
SYSTEM_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EIO,
    errno.EACCES,
    errno.EPERM,
    errno.ENAMETOOLONG,
    errno.EMFILE,
    errno.ENFILE,
}
MAX_LINES = 4  # Lightning may have said a line of its own before; five in all is the limit


class CommandError(Exception):
    """Something the user can mend: a wrong option, a file that is not there, data that cannot be used.

    ``main`` prints the message, at most four lines of it, and exits with code 2, with no traceback.
    """


def is_user_error(error: BaseException) -> bool:
    """Whether ``error`` is the user's to mend.

    That is a :class:`CommandError`, a ``seqlight.data.DataError``, a ``seqlight.models.NonFiniteError``, a
    ``TrainedOnTargetsError``, a ``WriteError``, or an error of the system such as a full disk.
    """
    if isinstance(error, CommandError | WriteError):
        return True
    if isinstance(error, OSError) and error.errno in SYSTEM_ERRORS:
        return True
    # Looked up, not imported: if its module was never imported, the error cannot be one of its own.
    data = sys.modules.get("seqlight.data")
    if data is not None and isinstance(error, data.DataError):
        return True
    finite = sys.modules.get("seqlight.models.lightning.finite")
    if finite is not None and isinstance(error, finite.NonFiniteError):
        return True
    trained = sys.modules.get("seqlight.models.lightning.trained_until")
    return trained is not None and isinstance(error, trained.TrainedOnTargetsError)


def memory_error(error: BaseException | None) -> BaseException | None:
    """Return ``error``, or the one behind it, that says that memory did not suffice; None if none does."""
    while error is not None:
        text = str(error).lower()  # torch says it by a RuntimeError
        told = isinstance(error, RuntimeError) and ("allocate memory" in text or "out of memory" in text)
        if told or isinstance(error, MemoryError):
            return error
        error = error.__cause__ or error.__context__
    return None


def message_lines(error: BaseException) -> list[str]:
    """The message of ``error`` as at most four lines, the last of which says what was left out."""
    text = str(error)
    out_of_memory = memory_error(error)
    if out_of_memory is not None and not isinstance(error, CommandError):
        text = str(out_of_memory)
        text = f"not enough memory: {text.splitlines()[0] if text else 'none was left'}\n"
        text += "  give smaller sizes, of the network (hidden size, layers), the context or the batch"
    if isinstance(error, OSError) and error.errno in SYSTEM_ERRORS and not isinstance(error, WriteError):
        text = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
    lines = [line for line in text.splitlines() if line.strip()] or [type(error).__name__]
    lines[0] = f"seqlight: error: {lines[0]}"
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], f"  ... and {len(lines) - MAX_LINES + 1} more lines"]
    return lines
