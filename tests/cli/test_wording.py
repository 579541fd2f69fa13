"""Python arguments in messages become options; nothing else changes."""

import pytest

from seqlight.cli.lightning_messages import condense
from seqlight.cli.wording import as_options


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "a.csv: pass separator=';' (and decimal_comma=True)",
            "a.csv: pass --separator ';' (and --decimal-comma)",
        ),
        ("its encoding, such as encoding='latin-1'", "its encoding, such as --encoding 'latin-1'"),
        ('fill them, or pass missing="mask"', 'fill them, or pass --missing "mask"'),
        ("a.csv: time_col: there is no column 'x'", "a.csv: --time: there is no column 'x'"),
        ("encoding: expected a text encoding", "--encoding: expected a text encoding"),
        ("the right frequency, and missing cells", "the right frequency, and missing cells"),
        ("/data/time_col.csv: no such file", "/data/time_col.csv: no such file"),
        ("there is no column 'time_col'", "there is no column 'time_col'"),
        ("context_length 4 + prediction_length 2", "--context 4 + --horizon 2"),
    ],
)
def test_as_options(message: str, expected: str) -> None:
    assert as_options(message) == expected


def test_condense_keeps_the_key_and_the_problem() -> None:
    message = (
        'Parser key "model":\n'
        "  Problem with given class_path 'a.B':\n"
        "  Does not validate against any of the Union subtypes\n"
        "  Subtypes: [<class 'A'>, <class 'NoneType'>]\n"
        "  Errors:\n"
        '    - Parser key "hidden":\n'
        "        Expected a <class 'int'>. Got value: x\n"
        "    - Expected a <class 'NoneType'>\n"
        "  Given value type: <class 'str'>\n"
        "  Given value: x"
    )
    assert condense(message) == "--model.hidden: Expected a <class 'int'>. Got value: x"


def test_condense_says_nothing_of_links() -> None:
    link = "Call to compute_fn of link '<lambda>(data) --> model.init_args.schema' with args (CSVDataModule) "
    assert condense(f"{link}failed: a.csv: there is no column 'x'") == "a.csv: there is no column 'x'"


def test_condense_leaves_other_messages() -> None:
    assert condense("unrecognized arguments: --modle 3") == "unrecognized arguments: --modle 3"
    assert (
        condense("the following arguments are required: fit.data")
        == "the following arguments are required: --data"
    )
