"""Every snippet and every command of the site's pages runs, and every name in them exists."""

import importlib.util
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import seqlight

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DOCS = REPOSITORY / "docs"


def load_snippets() -> ModuleType:
    """The module with which the site runs its snippets."""
    spec = importlib.util.spec_from_file_location("snippets", DOCS / "_extensions" / "snippets.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["snippets"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


snippets = load_snippets()
TEXTS = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md")}
BLOCKS = [block for text in TEXTS.values() for block in snippets.BLOCK.findall(text)]
# A page's statements about equality print True, but for those that show a difference.
SHOWS_A_DIFFERENCE = {"questions/layer_norm_and_batch_norm.md": 2}


def commands(text: str) -> list[str]:
    blocks = snippets.BLOCK.findall(text)
    return [line for language, block in blocks if language == "bash" for line in block.splitlines() if line]


@pytest.mark.parametrize("page", snippets.pages(), ids=lambda page: page.stem)
def test_snippets(page: Path) -> None:
    run = snippets.run_page(page)
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(DOCS).as_posix()
    assert set(snippets.PICTURE.findall(text)) == set(run.pictures)
    for picture, content in run.pictures.items():
        assert content.startswith(b"\x89PNG" if picture.endswith(".png") else b"<!doctype html>"), picture
        assert len(content) > 5_000, f"{picture} is all but empty"
    assert "\n".join(run.printed).count("False") == SHOWS_A_DIFFERENCE.get(name, 0), run.printed
    assert snippets.with_output(text, run.printed).count("```text") == len(
        list(filter(None, run.printed))
    ) + text.count("```text")


@pytest.mark.parametrize(
    "page", [page for page in snippets.pages() if "```python\n# needs" in page.read_text()]
)
def test_snippets_that_need_a_library(page: Path) -> None:
    """Skipped, by name, where it is not installed; then test_snippets has left them out."""
    needed = {block.split()[2].strip(":") for _, block in BLOCKS if snippets.NEEDS.match(block)}
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed: a snippet of {page.name} is not run")
    assert not snippets.run_page(page).missing


def test_a_snippet_that_needs_a_missing_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\n# needs nothing_of_this_name\n1 / 0\n```\n\n```python\nprint(2)\n```\n")
    monkeypatch.setattr(snippets, "DOCS", tmp_path)
    run = snippets.run_page(page)
    assert run.missing == ["nothing_of_this_name"] and run.printed == ["", "2"]


def test_a_snippet_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "broken.md"
    page.write_text("# Broken\n\n```python\nx = 1\n```\n\n```python\nprint(x)\nx.fit()\n```\n")
    monkeypatch.setattr(snippets, "DOCS", tmp_path)
    with pytest.raises(
        RuntimeError, match=r"broken.md: Python block 2, line 8, failed: .* no attribute 'fit'"
    ):
        snippets.run_page(page)


def test_languages_are_known() -> None:
    """So that no block escapes the tests by another name."""
    languages = {language for language, _ in BLOCKS}
    assert languages <= {"python", "bash", "text", "yaml", "{toctree}", "{eval-rst}"}, languages


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # Lightning's own
@pytest.mark.filterwarnings("ignore::UserWarning")  # Lightning's advice on short trainings and loggers
def test_commands(folder: Path, run_command: Callable[[str], None]) -> None:
    """Those that the README's test does not run already."""
    readme = commands((REPOSITORY / "README.md").read_text(encoding="utf-8"))
    found = [command for text in TEXTS.values() for command in commands(text)]
    assert len(found) >= 6
    for command in dict.fromkeys(found):
        if command not in readme:
            run_command(command)
    assert (folder / "strategies.png").stat().st_size > 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # Lightning's own
@pytest.mark.filterwarnings("ignore::UserWarning")  # Lightning's advice on short trainings and loggers
def test_configuration(folder: Path, run_command: Callable[[str], None]) -> None:
    """The configuration files that pages show; what is part of one is put on top of a whole one."""
    shown = [yaml for language, yaml in BLOCKS if language == "yaml"]
    whole = [yaml for yaml in shown if re.search(r"^model:", yaml, re.MULTILINE)]
    parts = [yaml for yaml in shown if yaml not in whole]
    assert len(whole) == 1
    options = []
    for number, yaml in enumerate(whole + parts):
        (folder / f"shown_{number}.yaml").write_text(yaml)
        options.append(f"--config shown_{number}.yaml")
    run_command(f"seqlight fit {' '.join(options)}")


def test_names_exist() -> None:
    """Dotted names of seqlight, and classes of seqlight.models, wherever they are mentioned."""
    text = "\n".join(TEXTS.values())
    dotted = set(re.findall(r"\bseqlight(?:\.[A-Za-z_]\w*)+(?<!\.py)", re.sub(r"\S*/\S*", "", text)))
    assert len(dotted) >= 30
    for name in dotted:
        value: object = seqlight
        for part in name.split(".")[1:]:
            if isinstance(value, ModuleType) and not hasattr(value, part):
                value = importlib.import_module(f"{value.__name__}.{part}")
            else:
                value = getattr(value, part)
    for name in set(re.findall(r"`(\w+(?:Forecaster|Imputer|Classifier|Regressor|Generator))\b", text)):
        assert name == "MyForecaster" or inspect.isclass(getattr(seqlight.models, name, None)), name


def test_every_question_is_listed() -> None:
    listed = re.findall(r"\]\((\w+\.md)\)", TEXTS["questions/index.md"])
    assert sorted(listed) == sorted(
        path.name for path in (DOCS / "questions").glob("*.md") if path.stem != "index"
    )


def test_every_part_has_its_reference() -> None:
    documented = {path.stem for path in (DOCS / "api").glob("*.rst")}
    parts = {name for name in seqlight.__all__ if isinstance(getattr(seqlight, name), ModuleType)}
    assert documented == parts
