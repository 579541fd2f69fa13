"""Reports in a headless Chromium: drawn, read, zoomed, sorted, searched, downloaded; nothing is asked for."""

import csv
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqlight.report import Report, Series, build, write
from seqlight.report.names import clean

LEAD = 'document.querySelector(".lead svg.axes")'
TIP = 'document.querySelector(".lead .tip")'
NAMES_SHOWN = '[...document.querySelectorAll("article.card h3 bdi")].map((name) => name.textContent)'
DRAWN = """
[...document.querySelectorAll("svg.axes")].map((svg) => {
  const box = svg.getBoundingClientRect();
  const seen = (mark) => mark.getBoundingClientRect().width > 1;
  const ticks = svg.querySelectorAll(".xtext text").length;
  return box.width > 100 && box.height > 200 && ticks > 1 &&
    [...svg.querySelectorAll(".line, rect")].some(seen);
})
"""


@pytest.fixture
def page(browser: Any, hostile_page: Path) -> Any:
    browser.open(hostile_page)
    return browser


def clicked(browser: Any, selector: str) -> None:
    browser.evaluate(f"document.querySelector({selector!r}).click()")


def read_csv(path: Path) -> list[list[str]]:
    text = path.read_text(encoding="utf-8-sig")
    path.unlink()
    return list(csv.reader(StringIO(text, newline="")))


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_drawn_without_a_word_or_a_request(
    browser: Any, hostile_page: Path, filled_page: Path, width: int, dark: bool
) -> None:
    for path in (hostile_page, filled_page):
        browser.open(path, width=width, dark=dark)
        assert browser.evaluate("document.documentElement.dataset.ready") == "yes"
        drawn = browser.evaluate(DRAWN)
        assert drawn and all(drawn), f"{path.name}: {drawn.count(False)} of {len(drawn)} pictures are empty"
        assert browser.evaluate("document.documentElement.scrollWidth") <= width  # nothing sticks out
        assert browser.messages() == []
        assert browser.requests() == []


def test_times_before_1970_are_told(browser: Any, tmp_path: Path) -> None:
    months = (np.datetime64("1949-01") + np.arange(144)).astype("datetime64[us]")
    known = Series(
        name="a",
        unit="passengers",
        time=months[:132],
        values=np.arange(132.0),
        forecast_time=months[132:],
        forecast=np.arange(132.0, 144.0),
    )
    write(tmp_path / "old.html", build([known]))
    browser.open(tmp_path / "old.html")
    ticks = browser.evaluate(
        '[...document.querySelectorAll(".lead .xtext text")].map((one) => one.textContent)'
    )
    assert "1960" in ticks


def test_reads_without_a_script(browser: Any, hostile_page: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(hostile_page)
        drawn = browser.evaluate(DRAWN)
        assert drawn and all(drawn)
        assert browser.evaluate("document.documentElement.dataset.ready") is None
        # No control that would do nothing.
        assert browser.evaluate('document.querySelectorAll("button, input, select").length') == 0
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_names_are_text(page: Any, hostile: Report) -> None:
    names = [clean(panel.row.name) for panel in hostile.panels]
    assert page.evaluate(NAMES_SHOWN) == [name.replace("\r", "\n") for name in names]
    assert (
        page.evaluate('document.querySelectorAll("img, iframe, object, main script:not([type])").length') == 0
    )
    assert page.evaluate("document.title") == "\u2068<title> of \u202e all\u2069"
    text = page.evaluate("document.body.innerText")
    assert "<u>12 epochs</u>" in text and "'</script><script>alert(2)</script>.csv'" in text


def test_hover_says_time_and_values(page: Any, hostile: Report) -> None:
    box = page.evaluate(
        f"(({{x, y, width, height}}) => [x, y, width, height])({LEAD}.getBoundingClientRect())"
    )
    page.pointer("mouseMoved", box[0] + box[2] - 1, box[1] + 100)
    assert page.evaluate(f"{TIP}.hidden") is False
    panel = hostile.panels[hostile.first or 0]
    digits = panel.row.digits
    lower, upper = panel.bands[95]
    assert page.evaluate(f"{TIP}.textContent").split("\n") == [
        str(panel.forecast_time[-1])[:16].replace("T", " "),
        f"forecast: {digits.text(panel.forecast[-1])}",
        f"95 %: {digits.text(lower[-1])} to {digits.text(upper[-1])}",
        "80 %: {} to {}".format(*(digits.text(edge[-1]) for edge in panel.bands[80])),
    ]
    page.pointer("mouseMoved", 5, 5)
    assert page.evaluate(f"{TIP}.hidden") is True


def test_keys_read_and_zoom(page: Any, hostile: Report) -> None:
    page.evaluate(f"{LEAD}.focus()")
    for key in ("Home", "ArrowRight"):
        page.key(key)
    said = page.evaluate('document.getElementById("live").textContent')
    panel = hostile.panels[hostile.first or 0]
    place = len(panel.time) - 4 * len(panel.forecast) + 1  # the second step that is seen at first
    time = str(panel.time[place])[:16].replace("T", " ")
    assert said == f"{time}, history: {panel.row.digits.text(panel.values[place])}"
    path = page.evaluate(f'{LEAD}.querySelector(".line").getAttribute("d")')
    for key in "++":
        page.key(key)
    zoomed = page.evaluate(f'{LEAD}.querySelector(".line").getAttribute("d")')
    assert zoomed != path
    assert len(zoomed) < len(path)
    page.key("0")
    assert page.evaluate(f'{LEAD}.querySelector(".line").getAttribute("d")') == path
    for _ in range(4):
        page.key("-")
    assert "shows 2024-01-01 00:00" in page.evaluate('document.getElementById("live").textContent')


def test_drag_zooms_and_a_double_click_shows_all(page: Any) -> None:
    left, top, width = page.evaluate(f"(({{x, y, width}}) => [x, y, width])({LEAD}.getBoundingClientRect())")
    page.pointer("mouseMoved", left + 0.25 * width, top + 100)
    page.pointer("mousePressed", left + 0.25 * width, top + 100)
    page.pointer("mouseMoved", left + 0.5 * width, top + 100)
    page.pointer("mouseReleased", left + 0.5 * width, top + 100)
    said = page.evaluate('document.getElementById("live").textContent')
    # 96 steps before the forecast and its 24 are seen: a quarter of 119 steps, from the 30th on.
    assert said == "shows 2024-01-19 02:00 to 2024-01-20 08:00", said
    ticks = page.evaluate(f'[...{LEAD}.querySelectorAll(".xtext text")].map((tick) => tick.textContent)')
    assert "12:00" in ticks, ticks
    page.evaluate(f'{LEAD}.dispatchEvent(new MouseEvent("dblclick"))')
    assert "shows 2024-01-01 00:00" in page.evaluate('document.getElementById("live").textContent')


def test_a_table_is_sorted_by_its_head(page: Any, hostile: Report) -> None:
    column = page.evaluate(
        '[...document.querySelectorAll("#t-series thead th")].findIndex((th) => /^MAE/.test(th.textContent))'
    )
    button = f"#t-series thead th:nth-child({column + 1}) button"
    rows = '[...document.querySelectorAll("#t-series tbody tr")]'
    shown = f"{rows}.map((row) => Number(row.cells[{column}].dataset.v))"
    errors = sorted(float(f"{row.mae:.9g}") for row in hostile.rows)
    clicked(page, button)
    assert page.evaluate(shown) == errors[::-1]
    assert page.evaluate(f'document.querySelector("{button}").parentElement.ariaSort') == "descending"
    clicked(page, button)
    assert page.evaluate(shown) == errors
    clicked(page, "#t-series thead th:first-child button")
    names = page.evaluate(
        '[...document.querySelectorAll("#t-series tbody tr")].map((row) => row.cells[0].textContent)'
    )
    assert sorted(names) != names[::-1] and len(names) == len(hostile.rows)


def test_search_in_tables_and_cards(page: Any) -> None:
    page.evaluate("""(() => {
      for (const input of document.querySelectorAll("input")) {
        input.value = "ALERT";
        input.dispatchEvent(new Event("input"));
      }
    })()""")
    assert len(page.evaluate(NAMES_SHOWN)) == 2
    assert page.evaluate('document.querySelectorAll("#t-series tbody tr").length') == 2
    assert page.evaluate(
        '[...document.querySelectorAll(".bar")].some((bar) => bar.innerText.includes("2 of 12 rows"))'
    )


def test_cards_are_ordered(page: Any, hostile: Report) -> None:
    page.evaluate("""(() => {
      const select = document.querySelector("section#series select");
      select.value = "error";
      select.dispatchEvent(new Event("change"));
    })()""")
    worst = sorted(hostile.panels, key=lambda panel: -panel.row.scaled)
    assert page.evaluate(NAMES_SHOWN) == [clean(panel.row.name) for panel in worst]


def test_tables_are_downloaded(page: Any, hostile: Report) -> None:
    clicked(page, '.table[data-csv="series"] button.push')
    head, *rows = read_csv(page.downloaded("series.csv"))
    assert head == ["series", "last", "forecast mean", "MAE", "MASE", "MASE of the best other", "missing"]
    assert len(rows) == len(hostile.rows)
    for row, own in zip(rows, hostile.rows, strict=True):
        name = clean(own.name).strip()
        assert row[0] == (f"'{name}" if name.startswith("=") else name)  # no formula for a spreadsheet
        assert row[3] == f"{own.mae:.9g}"
    clicked(page, '.table[data-csv="models"] button.push')
    models = read_csv(page.downloaded("models.csv"))
    assert [row[0] for row in models[1:]] == ["<i>LSTM</i>", "'=cmd|' /C calc'!A0", "\u202emodel"]
    assert page.messages() == []
    assert page.requests() == []


def test_every_table_is_downloaded(page: Any) -> None:
    names = page.evaluate('[...document.querySelectorAll(".table")].map((table) => table.dataset.csv)')
    assert len(names) == len(set(names)) >= 8
    for name in names:
        clicked(page, f'.table[data-csv="{name}"] button.push')
        rows = read_csv(page.downloaded(f"{name}.csv"))
        assert len(rows) > 1 and len({len(row) for row in rows}) == 1, name


def test_a_series_is_downloaded(page: Any, hostile: Report) -> None:
    page.evaluate('[...document.querySelectorAll(".lead .tools button")].at(-1).click()')
    head, *rows = read_csv(page.downloaded("series-lead.csv"))
    panel = hostile.panels[hostile.first or 0]
    assert head == ["time", "history", "forecast", "low 95 %", "high 95 %", "low 80 %", "high 80 %"]
    assert len(rows) == len(panel.time) + len(panel.forecast)
    assert float(rows[-1][2]) == pytest.approx(panel.forecast[-1], abs=0.01)
    assert rows[0][0] == "2024-01-01 00:00" and float(rows[0][1]) == pytest.approx(panel.values[0], abs=0.01)


def test_focus_follows_the_page(page: Any) -> None:
    """Tab goes from top to bottom, first to the link that skips the head."""
    assert page.evaluate("document.querySelector('a').textContent") == "Skip to the answer"
    places = page.evaluate("""
      [...document.querySelectorAll("a, button, input, select, summary, [tabindex]")]
        .filter((element) => element.checkVisibility() && !element.closest(".tools, .cards, .pair"))
        .map((element) => [element.tabIndex, element.getBoundingClientRect().top + scrollY])
    """)
    assert all(index == 0 for index, _ in places)
    tops = [top for _, top in places if top > 0]
    assert all(after > before - 60 for before, after in pairwise(tops))


def test_what_a_screen_reader_hears(page: Any) -> None:
    """Chromium's accessibility tree: pictures and controls have names, tables captions and heads."""
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    page.call("Accessibility.disable")
    named: dict[str, list[str]] = {}
    for node in nodes:
        if not node.get("ignored"):
            role = node["role"]["value"]
            named.setdefault(role, []).append(node.get("name", {}).get("value", ""))
    for role in ("image", "button", "searchbox", "combobox", "table", "region", "article", "link"):
        assert all(named[role]), f"a {role} without a name: {named[role]}"
    assert len(named["image"]) >= 16
    assert len(named["columnheader"]) > 20 and len(named["rowheader"]) > 30


def test_printed(page: Any) -> None:
    page.media(kind="print", dark=True)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert (
        page.evaluate(
            '[...document.querySelectorAll(".bar, .tools, nav")].some((part) => part.checkVisibility())'
        )
        is False
    )
    content = page.pdf()
    assert content.startswith(b"%PDF") and len(content) > 50_000
