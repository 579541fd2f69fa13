"""The page as text: valid, escaped, self-contained, of a contrast that can be read, small."""

import json
import re
from itertools import pairwise
from pathlib import Path

import html5lib
import numpy as np
import pytest

from seqlight.report import PastForecasts, Report, Series, build, render, write
from seqlight.report.render import script_text, template_text

STYLE = template_text("style.css")


@pytest.fixture(scope="module")
def html(hostile_page: Path) -> str:
    return hostile_page.read_text(encoding="utf-8")


def test_valid(html: str, filled_page: Path) -> None:
    for text in (html, filled_page.read_text(encoding="utf-8")):
        html5lib.HTMLParser(strict=True).parse(text)  # raises at the first fault
        ids = re.findall(r'\sid="([^"]+)"', text)
        assert len(ids) == len(set(ids))
        referred = re.findall(r'(?:aria-labelledby|href)="#?([^"]+)"', text)
        assert set(referred) - {"data:,"} <= set(ids)


def test_headings_go_down_one_by_one(html: str) -> None:
    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_have_heads(html: str) -> None:
    tables = re.findall(r"<table.*?</table>", html, flags=re.DOTALL)
    assert len(tables) > 15
    for table in tables:
        assert "<caption" in table
        assert not re.search(r"<th(?![^>]*scope=)", table.replace("<thead", ""))
        head, body = table.split("</thead>")
        assert 'scope="col"' in head
        assert body.count("<tr") == body.count('scope="row"')


def test_pictures_say_what_they_show(html: str) -> None:
    labels = re.findall(r'role="img" aria-label="([^"]*)"', html)
    assert len(labels) == html.count('class="axes"') >= 16
    assert all(len(label) > 30 for label in labels)


def test_nothing_from_the_data_is_markup(html: str) -> None:
    for text in (
        "<script>alert",
        "<img",
        "<b>demand",
        "<b>a note",
        "<u>",
        "<i>LSTM",
        "<svg onload",
        "</script><script",
        "<title> of",
    ):
        assert text not in html, text
    assert "{{ 7*7 }}{% raw %}" in html and "49{%" not in html
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", html)


def test_data_of_charts_is_json_that_cannot_end_its_element(html: str, hostile: Report) -> None:
    blocks = re.findall(r'<script type="application/json">(.*?)</script>', html, flags=re.DOTALL)
    assert len(blocks) == len(hostile.panels) + 3  # the first screen, by step, over time
    for block in blocks:
        assert not re.search(r"[<>&\u2028]", block)
        assert {"lines", "areas", "view", "n"} <= json.loads(block).keys()


def test_the_page_asks_for_nothing(html: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None and policy[1].startswith("default-src 'none'")
    text = re.sub(r"(?s)<style>.*?</style>|<script.*?</script>|<code>.*?</code>", "", html)
    assert set(re.findall(r'(?:src|href|action|poster|data)="([^#"]+)"', text)) == {"data:,"}
    tags = re.findall(r"<[a-z][^>]*>", re.sub(r'"[^"]*"', '""', text))
    assert not [tag for tag in tags if re.search(r"\s(?:style|on\w+)=", tag)]
    for part in (STYLE, script_text()):
        assert not re.search(
            r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(|fetch\(|XMLHttp|WebSocket|eval\(", part
        )


def colours(style: str) -> dict[str, dict[str, str]]:
    """The custom properties of the light and the dark page."""
    light, dark = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)[:2]
    own = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    return {"light": own, "dark": own | dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark))}


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2, between 1 and 21."""

    def luminance(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_what_wcag_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_contrast(mode: str) -> None:
    """WCAG AA: 4.5 for text, 3 for lines and marks of pictures and for the edges of controls."""
    own = colours(STYLE)[mode]
    assert set(own) == {
        *("page", "raised", "text", "muted", "rule", "grid", "link", "history", "forecast", "band", "odd"),
        *(f"m{index}" for index in range(6)),
    }
    for text in ("text", "muted", "link"):
        for ground in ("page", "raised"):
            assert contrast(own[text], own[ground]) >= 4.5, (text, ground)
    for mark in ("history", "forecast", "odd", *(f"m{index}" for index in range(6))):
        assert contrast(own[mark], own["page"]) >= 3.0, mark
    used = set(re.findall(r"(?<![-\w])color: ([^;}]+)", STYLE))
    assert used <= {"var(--text)", "var(--muted)", "var(--link)"}, used


def many(count: int, rng: np.random.Generator) -> tuple[list[Series], PastForecasts]:
    """Daily series of 120 steps with a forecast of 14, and three past forecasts of each."""
    time = np.datetime64("2024-01-01", "us") + np.arange(134) * np.timedelta64(1, "D")
    values = 50 + 10 * np.sin(np.arange(134) * 2 * np.pi / 7) + rng.normal(0, 2, (count, 134))
    series = [
        Series(
            name=f"item {index:05d}",
            unit="sales",
            time=time[:120],
            values=one[:120],
            forecast_time=time[120:],
            forecast=one[120:],
        )
        for index, one in enumerate(values)
    ]
    begins = [106, 99, 92]
    target = np.stack([values[:, begin : begin + 14] for begin in begins], axis=1).reshape(-1, 14)
    noise = rng.normal(0, 1, target.shape) * np.repeat(np.linspace(0.5, 3, count), 3)[:, None]
    past = PastForecasts(
        series=np.repeat(np.arange(count), 3),
        time=np.tile(np.stack([time[begin : begin + 14] for begin in begins]), (count, 1)),
        target=target,
        preds={"network": target + noise, "naive": target + 3.0},
    )
    return series, past


def test_above_twenty_series_the_best_and_the_worst_are_drawn() -> None:
    series, past = many(60, np.random.default_rng(0))
    report = build(series, past=past, chosen="network", season_length=7)
    scaled = np.array([row.scaled for row in report.rows])
    order = [f"item {place:05d}" for place in np.argsort(scaled)]
    assert [panel.row.name for panel in report.panels] == order[:10] + order[:-11:-1]
    assert [panel.rank for panel in report.panels][::10] == ["best 1", "worst 1"]
    page = render(report)
    assert page.count("<article") == 20 and len(report.rows) == 60
    assert all(page.count(f"item {place:05d}") >= 1 for place in range(60))


def test_pages_stay_small() -> None:
    """20 series of 2,000 steps below 2 MB; a line of the table below 900 bytes, so 10,000 below 10 MB."""
    rng = np.random.default_rng(0)
    time = np.datetime64("2024-01-01", "us") + np.arange(2048) * np.timedelta64(1, "h")
    bands = {level: (rng.normal(90, 1, 48), rng.normal(110, 1, 48)) for level in (50, 80, 95)}
    series = [
        Series(
            name=f"meter {index}",
            unit="power",
            time=time[:2000],
            values=rng.normal(100, 30, 2000),
            forecast_time=time[2000:],
            forecast=rng.normal(100, 5, 48),
            bands=bands,
        )
        for index in range(20)
    ]
    assert len(render(build(series, season_length=24)).encode()) < 1_200_000
    rng = np.random.default_rng(0)
    sizes = [
        len(render(build(series, past=past)).encode()) for series, past in (many(100, rng), many(400, rng))
    ]
    assert (sizes[1] - sizes[0]) / 300 < 900


def test_written_whole(tmp_path: Path, hostile: Report) -> None:
    path = tmp_path / "new" / "report.html"
    write(path, hostile)
    assert path.read_text(encoding="utf-8") == render(hostile)
    assert [one.name for one in path.parent.iterdir()] == ["report.html"]
