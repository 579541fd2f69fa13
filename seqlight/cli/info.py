"""``seqlight info``: versions, and what of the extension was built."""

from importlib.metadata import PackageNotFoundError, version

from seqlight.cli.parser import Parser

PACKAGES = ("torch", "lightning", "torchmetrics", "polars", "numpy", "matplotlib")


def run(arguments: list[str]) -> None:
    """Print ``key: value`` lines; nothing is built, downloaded or changed."""
    parser = Parser(prog="seqlight info", description="Versions, and what of the C++ extension was built.")
    parser.parse_args(arguments)

    import seqlight

    print(f"seqlight: {seqlight.__version__}")
    for name in PACKAGES:
        print(f"{name}: {installed_version(name)}")
    for key, value in seqlight.build_info().items():
        print(f"{key}: {value}")


def installed_version(name: str) -> str:
    """The version of an installed distribution, or ``"not installed"``."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
