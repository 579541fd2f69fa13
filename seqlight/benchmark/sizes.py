"""Sizes of a case as the command line spells them."""


def parse_sizes(text: str, names: str, example: str) -> list[int]:
    """Read whole numbers of at least 1 that are separated by commas.

    Args:
        text: e.g. "32,50,20".
        names: what the numbers are, e.g. "B,T,C".
        example: for the message.

    Raises:
        ValueError: another number of sizes, or one that is no whole number of at least 1.
    """
    count = names.count(",") + 1
    try:
        sizes = [int(size) for size in text.split(",")]
    except ValueError:
        sizes = []
    if len(sizes) != count or min(sizes) < 1:
        raise ValueError(f"expected {count} whole numbers {names} of at least 1, as {example}, got {text!r}")
    return sizes
