"""The one error class of bad input data."""


class DataError(ValueError):
    """Input data, or an argument that describes it, cannot be used.

    The message is short and complete: it names the file, the argument or column, the row where there is
    one, what was expected, what came, and how to mend it. The command line prints it without a traceback.
    """
