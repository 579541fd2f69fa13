"""The import rules of docs/architecture.md: which part of seqlight may import which, and what loads when."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import seqlight

PACKAGE = Path(seqlight.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

NOTHING: frozenset[str] = frozenset()
EVERYTHING = frozenset(
    path.stem if path.is_file() else path.name
    for path in PACKAGE.iterdir()
    if path.suffix == ".py" or (path / "__init__.py").is_file()
)
BASICS = frozenset(
    {
        "_extension",
        "whole_files",
        "predictor",
        "transforms",
        "metrics",
        "data",
        "ops",
        "nn",
        "onnx",
        "strategies",
        "inputs",
        "heads",
        "intervals",
        "models",
    }
)

# Part -> parts it may import, itself aside.
MAY_IMPORT = {
    "_extension": NOTHING,
    "whole_files": NOTHING,
    "predictor": NOTHING,
    "transforms": NOTHING,
    "metrics": NOTHING,
    "data": NOTHING,
    "ops": frozenset({"_extension"}),
    "nn": frozenset({"ops"}),
    "onnx": frozenset({"ops", "nn"}),
    "inputs": frozenset({"nn", "ops"}),
    "heads": NOTHING,
    "intervals": frozenset({"predictor"}),
    "strategies": frozenset({"nn", "inputs", "heads"}),
    "models": frozenset(
        {"nn", "metrics", "onnx", "transforms", "strategies", "inputs", "heads", "intervals", "predictor"}
    ),
    "callbacks": BASICS,
    "evaluation": BASICS | {"callbacks"},
    "plot": BASICS | {"callbacks", "evaluation"},
    "experiments": BASICS | {"callbacks", "evaluation"},
    "report": BASICS | {"callbacks", "evaluation", "plot", "experiments"},
    "cli": EVERYTHING,
    "benchmark": EVERYTHING,
    "__init__": EVERYTHING,
    "__main__": EVERYTHING,
}
IMPORTED_BY_NOBODY = frozenset({"cli", "benchmark", "__main__"})
FRONT_DOORS = frozenset({"cli", "benchmark", "__init__", "__main__"})

# Installed with seqlight, but imported when used: never at the top of these parts.
HEAVY = (
    "lightning",
    "torchmetrics",
    "polars",
    "pandas",
    "matplotlib",
    "jsonargparse",
    "rich",
    "onnx",
    "onnxscript",
)
TORCH_ALONE = ("_extension", "ops", "nn")


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_modules(path: Path) -> list[str]:
    """Dotted names of all that a file imports, at any depth of its code."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}, line {node.lineno}: write the import from seqlight on"
            origin = node.module or ""
            # `from seqlight import nn` names a part only by what it imports.
            names += [f"{origin}.{alias.name}" for alias in node.names] if origin == "seqlight" else [origin]
    return names


def imported_parts(path: Path) -> set[str]:
    dotted = (name.split(".") for name in imported_modules(path))
    return {parts[1] for parts in dotted if parts[0] == "seqlight" and len(parts) > 1} & EVERYTHING


def test_imports_are_absolute(tmp_path: Path) -> None:
    (tmp_path / "relative.py").write_text("def f():\n    from .sibling import g\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="line 2: write the import from seqlight on"):
        imported_modules(tmp_path / "relative.py")


def test_every_part_has_a_rule() -> None:
    assert {part_of(path) for path in MODULES} <= MAY_IMPORT.keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_import_rules(path: Path) -> None:
    part = part_of(path)
    imported = imported_parts(path) - {part}
    assert imported <= MAY_IMPORT[part], f"{part} may import {sorted(MAY_IMPORT[part])}"
    if part not in FRONT_DOORS:
        assert not imported & IMPORTED_BY_NOBODY


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.name == "__init__.py" and path.parent != PACKAGE],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_package_files_only_hand_names_on(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    strangers = [node for node in body if not hands_names_on(node)]
    assert not strangers, f"line {strangers[0].lineno} does more than import and name"


def hands_names_on(node: ast.stmt) -> bool:
    """Whether it imports, names a value, documents, or serves importing names when they are first used."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING" and all(map(hands_names_on, node.body))
    if isinstance(node, ast.FunctionDef):
        return node.name in ("__getattr__", "__dir__")
    return isinstance(node, (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign, ast.AnnAssign))


DATA_FOLDERS = ("time", "io", "store", "windows", "modules")


@pytest.mark.parametrize("folder", DATA_FOLDERS)
def test_folders_of_data_import_those_before_them(folder: str) -> None:
    after = tuple(f"seqlight.data.{name}" for name in DATA_FOLDERS[DATA_FOLDERS.index(folder) + 1 :])
    for path in (PACKAGE / "data" / folder).rglob("*.py"):
        strangers = [name for name in imported_modules(path) if name.startswith(after)] if after else []
        assert not strangers, f"{path.name} imports {strangers}"


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, check=True, capture_output=True, text=True
    ).stdout


def test_ops_and_layers_need_torch_alone() -> None:
    parts = ", ".join(f"seqlight.{part}" for part in TORCH_ALONE)
    loaded = run_python(
        f"import sys, seqlight, {parts}\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert loaded.strip() == "[]"


def test_the_bare_package_loads_nothing() -> None:
    loaded = run_python("import sys, seqlight; print('torch' in sys.modules, seqlight.__version__)")
    assert loaded.split() == ["False", seqlight.__version__]


@pytest.mark.parametrize("name", sorted(set(seqlight.__all__)))
def test_lazy_names_resolve(name: str) -> None:
    assert getattr(seqlight, name) is not None
    assert name in dir(seqlight)


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'convolve'"):
        _ = seqlight.convolve
