"""What is known ahead, and what series are, from files of their own."""

import datetime

import numpy as np
import polars as pl
import pytest
import torch

from seqlight.data import CSVDataModule, DataError

START = datetime.date(2024, 1, 1)
KNOWN, AHEAD = 40, 3
SIZES = {"context_length": 6, "prediction_length": AHEAD}
COLUMNS = {"time_col": "day", "target_cols": "y", "id_col": "shop", "origin": "own"}


def days(first, count):
    return [START + datetime.timedelta(days=first + step) for step in range(count)]


def whole():
    """Two shops of 40 days and three more without a target; promo is a number, sky a text."""
    random = np.random.default_rng(0)
    rows = KNOWN + AHEAD
    return pl.concat(
        pl.DataFrame(
            {
                "shop": shop,
                "day": days(offset, rows),
                "y": [level + day if day < KNOWN else None for day in range(rows)],
                "promo": random.integers(0, 5, rows).astype(float),
                "sky": random.choice(["sun", "rain"], rows),
                "size": size,
                "kind": kind,
            },
            strict=False,
        )
        for shop, offset, level, size, kind in (("a", 0, 10.0, 120.0, "city"), ("b", 5, 500.0, 80.0, "mall"))
    )


KNOWN_AHEAD = {"future_covariate_cols": ["promo", "sky"]}
STATIC = {"static_cols": ["size", "kind"]}


def module(source, **arguments):
    return CSVDataModule(source, **(COLUMNS | SIZES | arguments))


def all_batches(data):
    data.setup("fit")
    return [
        data.dataset(part).__getitems__(range(len(data.dataset(part))))
        for part in ("train", "test", "predict")
    ]


def assert_same(ours, theirs):
    for one, other in zip(all_batches(ours), all_batches(theirs), strict=True):
        assert one.keys() == other.keys()
        for name in one:
            torch.testing.assert_close(one[name], other[name], equal_nan=True, rtol=0, atol=0)


def known(frame):
    return frame.filter(pl.col("y").is_not_null())


def later(frame):
    return frame.filter(pl.col("y").is_null())


def future_part(kind):
    """The second file in several forms, with the first one that goes with it."""
    frame = whole()
    ahead = frame.select("shop", "day", "promo", "sky")
    return {
        "later rows alone": (known(frame), later(frame).select("shop", "day", "promo", "sky")),
        "all rows, columns in no other file": (known(frame).drop("promo", "sky"), ahead),
        "rows of both": (known(frame), ahead),
        "later rows out of order": (
            known(frame),
            later(frame).select("sky", "promo", "day", "shop").reverse(),
        ),
        "first rows are there already": (
            frame.with_columns(promo=pl.lit(None, pl.Float64)),
            ahead.drop("sky"),
        ),
        "one column each": (
            frame.with_columns(promo=pl.when(pl.col("y").is_null()).then(None).otherwise("promo")),
            later(frame).select("shop", "day", "promo"),
        ),
        "times written in another way": (
            known(frame),
            ahead.with_columns(pl.col("day").dt.strftime("%d %b %Y")),
        ),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "later rows alone",
        "all rows, columns in no other file",
        "rows of both",
        "later rows out of order",
        "first rows are there already",
        "one column each",
        "times written in another way",
    ],
)
@pytest.mark.parametrize("mixed", [False, True])
def test_a_second_file_gives_what_one_file_gives(kind, mixed, tmp_path):
    main, future = future_part(kind)
    if mixed:  # the rows of the two series alternate
        main = main.with_columns(pl.col("day").rank().alias("by")).sort("by", "shop").drop("by")
    main.write_csv(tmp_path / "main.csv")
    future.write_csv(tmp_path / "future.csv")
    expected = module(whole(), **KNOWN_AHEAD)
    # Mixed rows begin with the same series, so series have the same numbers.
    assert_same(module(tmp_path / "main.csv", **KNOWN_AHEAD, future=tmp_path / "future.csv"), expected)
    assert_same(module(main, **KNOWN_AHEAD, future=future), expected)


@pytest.mark.parametrize("here", [["size", "kind"], ["kind"], []])
def test_static_values_of_a_file_of_their_own(here, tmp_path):
    one_row_each = whole().unique("shop").sort("shop", descending=True).select("shop", "kind", "size")
    main = whole().drop([name for name in ("size", "kind") if name not in here])
    table = one_row_each if here != ["kind"] else one_row_each.drop("kind")
    expected = module(whole(), **KNOWN_AHEAD, **STATIC)
    assert_same(module(main, **KNOWN_AHEAD, **STATIC, static=table), expected)
    table.write_csv(tmp_path / "shops.csv")
    main.write_csv(tmp_path / "main.csv")
    from_files = module(tmp_path / "main.csv", **KNOWN_AHEAD, **STATIC, static=tmp_path / "shops.csv")
    assert_same(from_files, expected)
    assert from_files.schema() == expected.schema()
    assert from_files.hparams["static"] == str(tmp_path / "shops.csv")


def test_static_values_alone_and_of_a_single_series():
    frame = known(whole()).filter(shop="a").select("day", "y")
    data = module(frame, id_col=None, static_cols="size", static=pl.DataFrame({"size": [3.0]}))
    data.setup("fit")
    assert data.static_covariate_size == 1
    assert data.dataset("train")[0]["static_covariates"].tolist() == [3.0]
    with pytest.raises(DataError, match="static: static frame has 2 rows, expected one for the only series"):
        module(frame, id_col=None, static_cols="size", static=pl.DataFrame({"size": [3.0, 4.0]})).setup("fit")


def changed(frame, row, **cells):
    at = pl.int_range(pl.len()) == row
    return frame.with_columns(
        **{name: pl.when(at).then(value).otherwise(name) for name, value in cells.items()}
    )


AHEAD_COLUMNS = ["shop", "day", "promo", "sky"]


@pytest.mark.parametrize(
    ("future", "message"),
    [
        (
            lambda ahead: changed(ahead, 3, promo=7.0),
            r"future: column 'promo' is [0-4].0 in row 3 of frame, but 7.0 in row 3 of future frame",
        ),
        (
            lambda ahead: changed(ahead, 40, shop=pl.lit("z")),
            "future: future frame has series 'z', which are not in",
        ),
        (
            lambda ahead: pl.concat([ahead, ahead[41:42]]),
            "row 86: the time 2024-02-11 .*repeats row 41 of the same",
        ),
        (lambda ahead: ahead[:42], "column 'promo' of series 'a'.*has no value at 2024-02-12"),
        (
            lambda ahead: ahead.drop("promo", "sky"),
            "future: the future frame has none of the columns 'promo', 'sky'",
        ),
        (
            lambda ahead: ahead.with_columns(promo=pl.lit("much")),
            "'promo' holds numbers in frame, but text in future frame",
        ),
        (lambda ahead: ahead.drop("day"), "there is no column 'day'"),
        (
            lambda ahead: ahead.with_columns(pl.col("day").cast(pl.Datetime).dt.offset_by("6h")),
            "frame: future frame, row 0, column 'day':.*off the grid|rows are off the grid",
        ),
    ],
)
def test_a_second_file_that_does_not_fit(future, message):
    ahead = whole().select(AHEAD_COLUMNS)
    with pytest.raises(DataError, match=message):
        data = module(known(whole()), **KNOWN_AHEAD, future=future(ahead))
        data.setup("fit")
        data.dataset("predict")


def test_rows_before_a_series_begins_are_left_out_and_named():
    ahead = whole().select(AHEAD_COLUMNS)
    early = ahead.head(2).with_columns(day=pl.Series(days(-2, 2)))
    with pytest.warns(UserWarning, match="future frame: 2 rows come before the first one of their series"):
        data = module(known(whole()), **KNOWN_AHEAD, future=pl.concat([early, ahead]))
        data.setup("fit")
    assert data.store.lengths.tolist() == [KNOWN + AHEAD] * 2


@pytest.mark.parametrize(
    ("static", "message"),
    [
        ({"shop": ["a"], "size": [1.0]}, "static: static frame has no row for series 'b' of frame; add one"),
        (
            {"shop": ["a", "b", "a"], "size": [1.0, 2.0, 3.0]},
            "series 'a' is in row 0 and again in row 2; keep one",
        ),
        ({"shop": ["a", "b"], "size": [1.0, None]}, "static column 'size' has no value for series 'b'"),
        (
            {"shop": ["a", "b"], "width": [1.0, 2.0]},
            "static: the static frame has none of the columns 'size'",
        ),
        (
            {"shop": ["b", "a"], "size": [80.0, 7.0]},
            "'size' of series 'a' is 120.0 in frame, but 7.0 in static frame",
        ),
    ],
)
def test_a_static_file_that_does_not_fit(static, message):
    frame = whole() if "7.0" in message else whole().drop("size")
    with pytest.raises(DataError, match=message):
        module(frame, static_cols="size", static=pl.DataFrame(static)).setup("fit")


def test_arguments_that_name_no_column():
    with pytest.raises(DataError, match="future: no column of it is named; pass future_covariate_cols"):
        module(whole(), future="x.csv")
    with pytest.raises(DataError, match="static: no column of it is named; pass static_cols"):
        module(whole(), static="x.csv")
    with pytest.raises(DataError, match="future: its rows are joined by their times, and the data have none"):
        module(
            whole().drop("day"),
            time_col=None,
            future_covariate_cols="promo",
            future=whole().select("shop", "promo"),
        ).setup("fit")


def test_series_of_a_catalogue_that_are_not_in_the_data_are_counted():
    table = pl.DataFrame({"shop": ["a", "b", "c"], "size": [1.0, 2.0, 3.0]})
    with pytest.warns(UserWarning, match="1 rows are of series that are not in frame, and were left out"):
        module(whole().drop("size"), static_cols="size", static=table).setup("fit")


def test_times_with_a_zone_and_without():
    hours = [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=hour) for hour in range(40)]
    main = pl.DataFrame({"day": hours, "y": np.arange(40.0), "shop": "a"})
    future = pl.DataFrame({"day": hours, "promo": np.ones(40), "shop": "a"})
    future = future.with_columns(pl.col("day").dt.replace_time_zone("UTC"))
    with pytest.raises(DataError, match="times of future frame are with one, those of frame without"):
        module(main, future_covariate_cols="promo", future=future).setup("fit")


DATES = [f"2024-01-{day:02d}" for day in range(1, 32)]


def test_a_second_file_of_columns_and_rows_that_are_series(tmp_path):
    """Without ids its rows hold for every series; where rows are series it has the values of all times."""
    known = DATES[:24]
    files = {
        "wide": [
            ",".join(["ds", "a", "b", "promo"]),
            *(f"{day},{n},{2 * n},{n % 3}" for n, day in enumerate(known)),
        ],
        "rows": [",".join(["id", *known]), *(",".join([s, *(str(n) for n in range(24))]) for s in "ab")],
        "ahead": ["ds,promo", *(f"{day},{n % 3}" for n, day in enumerate(DATES) if n >= 24)],
        "always": ["ds,id,promo", *(f"{day},{s},{n % 3}" for n, day in enumerate(DATES) for s in "ba")],
    }
    for name, content in files.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(content) + "\n")

    def module(layout, future, **columns):
        data = CSVDataModule(
            tmp_path / f"{layout}.csv",
            layout=layout,
            target_cols="y",
            future_covariate_cols="promo",
            future=tmp_path / f"{future}.csv",
            context_length=6,
            prediction_length=7,
            val_size=0,
            test_size=0,
            **columns,
        )
        dataset = data.dataset("predict")
        return [batch["future_covariates"][:, 0].tolist() for batch in map(dataset.__getitem__, range(2))]

    expected = [[float(n % 3) for n in range(24, 31)]] * 2
    with pytest.warns(UserWarning, match="has no column 'series_id', so its rows hold for every series"):
        assert module("wide", "ahead", time_col="ds") == expected
    assert module("wide", "always", time_col="ds", id_col="id") == expected
    assert module("rows", "always", time_col="ds", id_col="id") == expected
    with pytest.raises(
        DataError, match=r"future: .* has no column 'time'; with layout='rows' time_col is what"
    ):
        module("rows", "always", time_col="time", id_col="id")
