// Charts: drawn again for the part in sight, read by pointer and keyboard.
const setUp = (plot) => {
  const chart = JSON.parse(plot.querySelector("script").textContent);
  const svg = plot.querySelector("svg.axes"), area = svg.querySelector("svg"), inner = svg.querySelector(".inner");
  const x = [chart.t0];
  for (let index = 1; index < chart.n; index++)
    x.push(x[index - 1] + (typeof chart.dt === "number" ? chart.dt : chart.dt[index - 1]));
  const whole = [0, Math.max(chart.n - 1, 1)];
  let view = [...chart.view], at = null;
  const get = (values, index) => values.y[index - values.from] ?? null;
  const paths = [...inner.children];
  const since = area.querySelector(".since"), marks = area.querySelector(".marks");
  const sinceIndex = since ? Math.max(...chart.lines.filter((line) => line.name === "forecast").map((line) => line.from)) : 0;
  const xAt = (index) => x[Math.max(0, Math.min(chart.n - 1, index))];
  const share = (index) => (xAt(index) - xAt(view[0])) / (xAt(view[1]) - xAt(view[0]) || 1);
  const width = () => svg.getBoundingClientRect().width;
  const tip = make("div", { className: "tip", hidden: true });
  const cursor = makeSvg("line", { class: "cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
  const brush = makeSvg("rect", { class: "brush", y: 0, height: HEIGHT, visibility: "hidden" });
  area.append(brush, cursor);
  plot.append(tip);

  const draw = () => {
    const begin = Math.floor(view[0]), end = Math.ceil(view[1]);
    let low = Infinity, high = -Infinity;
    const see = (value) => {
      if (value === null) return;
      low = Math.min(low, value);
      high = Math.max(high, value);
    };
    for (let index = begin; index <= end; index++) {
      for (const line of chart.lines) see(get(line, index));
      for (const band of chart.areas) {
        see(get(band.lower, index));
        see(get(band.upper, index));
      }
    }
    if (low > high) [low, high] = [0, 1];
    if (chart.zero) low = Math.min(low, 0);
    const room = 0.06 * (high - low) || Math.abs(high) * 0.1 || 1;
    if (!(chart.zero && low === 0)) low -= room;
    high += room;
    const down = (value) => (HEIGHT * (1 - (value - low) / (high - low))).toFixed(1);
    const across = (index) => (WIDTH * share(index)).toFixed(1);
    const linePath = (line) => {
      // Of many points in sight, the lowest and the highest of each stretch.
      const stride = Math.max(1, Math.floor((end - begin) / 800));
      let d = "", open = false, single = false;
      for (let index = begin; index <= end; index += stride) {
        let values = [];
        for (let place = index; place < Math.min(index + stride, end + 1); place++) {
          const value = get(line, place);
          values.push([place, value]);
        }
        if (stride > 2) {
          const known = values.filter(([, value]) => value !== null);
          const lowest = known.reduce((one, two) => (two[1] < one[1] ? two : one), known[0]);
          const highest = known.reduce((one, two) => (two[1] > one[1] ? two : one), known[0]);
          values = known.length ? [lowest, highest].sort((one, two) => one[0] - two[0]) : [[index, null]];
        }
        for (const [place, value] of values) {
          if (value === null) {
            if (single) d += "h0";
            open = single = false;
          } else if (line.dots) d += "M" + across(place) + " " + down(value) + "h0";
          else {
            d += (open ? "L" : "M") + across(place) + " " + down(value);
            single = !open;
            open = true;
          }
        }
      }
      return d + (single ? "h0" : "");
    };
    const areaPath = (band) => {
      const there = [], back = [];
      for (let index = Math.max(begin, band.lower.from); index <= end; index++) {
        const lower = get(band.lower, index), upper = get(band.upper, index);
        if (lower === null || upper === null) continue;
        there.push(across(index) + " " + down(upper));
        back.unshift(across(index) + " " + down(lower));
      }
      return there.length ? "M" + there.concat(back).join("L") + "Z" : "";
    };
    chart.areas.forEach((band, index) => paths[index].setAttribute("d", areaPath(band)));
    chart.lines.forEach((line, index) => paths[chart.areas.length + index].setAttribute("d", linePath(line)));

    const step = niceStep((high - low) / 4), whole = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const inUnits = step * 10 ** whole, decimals = whole + (Math.abs(inUnits - Math.round(inUnits)) > 1e-6);
    const grid = [], yText = [], largest = Math.max(Math.abs(low), Math.abs(high));
    for (let tick = Math.ceil(low / step - 1e-9); tick <= high / step + 1e-9; tick++) {
      const y = down(tick * step);
      grid.push(makeSvg("line", { x1: 0, x2: "100%", y1: y, y2: y }));
      yText.push(makeSvg("text", { x: -8, y, dy: 4 }));
      yText.at(-1).textContent = axisNumber(tick * step, decimals, largest);
    }
    area.querySelector(".grid").replaceChildren(...grid);
    area.querySelector(".ytext").replaceChildren(...yText);
    const first = xAt(view[0]), last = xAt(view[1]);
    const ticks = timeTicks(first, last, chart.style, Math.max(2, Math.min(8, width() / 110)));
    area.querySelector(".xtext").replaceChildren(...ticks.map(([place, label]) => {
      const part = (place - first) / (last - first || 1);
      const text = makeSvg("text", { x: 100 * part + "%", y: 217,
        "text-anchor": part < 0.08 ? "start" : part > 0.92 ? "end" : "middle" });
      text.textContent = label;
      return text;
    }));
    const place = (element, part, names) => {
      element.setAttribute("visibility", part < 0 || part > 1 ? "hidden" : "visible");
      for (const name of names) element.setAttribute(name, 100 * part + "%");
    };
    if (since) place(since, (share(sinceIndex - 1) + share(sinceIndex)) / 2, ["x1", "x2"]);
    if (marks) marks.replaceChildren(...Object.keys(chart.marks).map(Number)
      .filter((index) => index >= begin && index <= end && get(chart.lines[0], index) !== null)
      .map((index) => makeSvg("circle", { cx: 100 * share(index) + "%", cy: down(get(chart.lines[0], index)), r: 5 })));
    plot.classList.toggle("zoomed", view.some((end, index) => end !== chart.view[index]));
    out.disabled = view[1] - view[0] >= whole[1];
    reset.disabled = view.every((end, index) => end === chart.view[index]);
  };

  const textAt = (index) => {
    const lines = chart.lines.filter((line) => line.name).map((line) => [line.name, get(line, index)])
      .filter(([, value]) => value !== null).map(([name, value]) => name + ": " + numberText(value, chart));
    for (const band of chart.areas) {
      const lower = get(band.lower, index), upper = get(band.upper, index);
      if (lower !== null) lines.push(band.name + ": " + numberText(lower, chart) + " to " + numberText(upper, chart));
    }
    if (chart.marks[index]) lines.push("odd: " + chart.marks[index]);
    const when = timeText(xAt(index), chart.style) + (chart.label ? " " + chart.label : "");
    return [when, ...(lines.length ? lines : ["missing"])].join("\n");
  };
  const read = (index, speak) => {
    at = Math.max(Math.ceil(view[0]), Math.min(Math.floor(view[1]), index));
    const part = share(at), frame = svg.getBoundingClientRect();
    const left = frame.left - plot.getBoundingClientRect().left + part * frame.width;
    tip.textContent = textAt(at);
    tip.hidden = false;
    tip.style.left = (part < 0.5 ? left + 12 : Math.max(0, left - tip.offsetWidth - 12)) + "px";
    cursor.setAttribute("x1", 100 * part + "%");
    cursor.setAttribute("x2", 100 * part + "%");
    cursor.setAttribute("visibility", "visible");
    if (speak) live.textContent = tip.textContent.replaceAll("\n", ", ");
  };
  const forget = () => {
    tip.hidden = true;
    cursor.setAttribute("visibility", "hidden");
  };
  const indexAt = (event) => {
    const frame = svg.getBoundingClientRect(), part = (event.clientX - frame.left) / (frame.width || 1);
    const time = xAt(view[0]) + part * (xAt(view[1]) - xAt(view[0]));
    let low = 0, high = chart.n - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (x[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low > 0 && time - x[low - 1] < x[low] - time ? low - 1 : low;
  };
  const zoomTo = (begin, end) => {
    const least = Math.min(4, whole[1]);
    let [low, high] = [Math.round(begin), Math.round(end)];
    if (high - low < least) high = low + least;
    if (low < 0) [low, high] = [0, high - low];
    if (high > whole[1]) [low, high] = [Math.max(0, low - (high - whole[1])), whole[1]];
    view = [low, high];
    forget();
    draw();
    live.textContent = "shows " + timeText(xAt(low), chart.style) + " to " + timeText(xAt(high), chart.style);
  };
  const zoomBy = (factor) => {
    const centre = at !== null && at >= view[0] && at <= view[1] ? at : (view[0] + view[1]) / 2;
    const half = ((view[1] - view[0]) * factor) / 2;
    zoomTo(centre - half, centre + half);
  };
  const toolButton = (text, label, act) => {
    const button = make("button", { type: "button", textContent: text, title: label });
    button.setAttribute("aria-label", label);
    button.addEventListener("click", act);
    return button;
  };
  const out = toolButton("−", "Zoom out", () => zoomBy(2));
  const reset = toolButton("↺", "Back to the first view", () => zoomTo(...chart.view));
  const tools = make("div", { className: "tools" }, toolButton("+", "Zoom in", () => zoomBy(0.5)), out, reset);
  if (plot.closest(".card, .lead") && chart.lines.some((line) => line.name === "forecast" || line.name === "filled")) {
    const heading = plot.closest(".card, .lead").querySelector("bdi");
    tools.append(toolButton("CSV", "Download as CSV: " + heading.textContent, () => {
      const named = chart.lines.filter((line) => line.name);
      const head = ["time", ...named.map((line) => line.name),
        ...chart.areas.flatMap((band) => ["low " + band.name, "high " + band.name])].map(csvText);
      const rows = x.map((time, index) => [timeText(time, chart.style).replaceAll(",", ""),
        ...named.map((line) => get(line, index) ?? ""),
        ...chart.areas.flatMap((band) => [get(band.lower, index) ?? "", get(band.upper, index) ?? ""])]);
      download("series-" + plot.dataset.key, [head, ...rows]);
    }));
  }
  plot.prepend(tools);

  svg.setAttribute("tabindex", "0");
  svg.setAttribute("aria-label", svg.getAttribute("aria-label") +
    ". Left and right arrows read values, plus and minus zoom, 0 returns to the first view.");
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (move) read((at ?? Math.round(view[1])) + move, true);
    else if (event.key === "Home") read(Math.ceil(view[0]), true);
    else if (event.key === "End") read(Math.floor(view[1]), true);
    else if (event.key === "+" || event.key === "=") zoomBy(0.5);
    else if (event.key === "-") zoomBy(2);
    else if (event.key === "0") zoomTo(...chart.view);
    else if (event.key === "Escape") forget();
    else return;
    event.preventDefault();
  });
  svg.addEventListener("blur", forget);
  let pressed = null;
  svg.addEventListener("pointermove", (event) => {
    const index = indexAt(event);
    read(index, false);
    if (pressed === null) return;
    const [one, two] = [share(pressed), share(at)].sort((a, b) => a - b);
    brush.setAttribute("x", 100 * one + "%");
    brush.setAttribute("width", 100 * (two - one) + "%");
    brush.setAttribute("visibility", "visible");
  });
  svg.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch" && event.button === 0) pressed = indexAt(event);
    else read(indexAt(event), false);
  });
  window.addEventListener("pointerup", () => {
    brush.setAttribute("visibility", "hidden");
    if (pressed !== null && at !== null && Math.abs(at - pressed) >= 2)
      zoomTo(Math.min(at, pressed), Math.max(at, pressed));
    pressed = null;
  });
  svg.addEventListener("pointerleave", () => {
    if (pressed === null) forget();
  });
  svg.addEventListener("dblclick", () => zoomTo(...whole));
  draw();
  let drawnWidth = width();
  new ResizeObserver(() => {
    if (width() !== drawnWidth) draw();
    drawnWidth = width();
  }).observe(plot);
};
for (const plot of document.querySelectorAll(".plot[data-key]")) setUp(plot);

// Bars: what each says.
for (const plot of document.querySelectorAll(".bar-plot")) {
  const width = () => svg.getBoundingClientRect().width;
  const tip = make("div", { className: "tip", hidden: true });
  plot.append(tip);
  plot.addEventListener("pointermove", (event) => {
    const bar = event.target.closest("rect");
    tip.hidden = !bar;
    if (!bar) return;
    tip.textContent = bar.querySelector("title")?.textContent ?? bar.dataset.text;
    if (bar.querySelector("title")) {
      bar.dataset.text = tip.textContent; // one tip is enough
      bar.querySelector("title").remove();
    }
    const left = event.clientX - plot.getBoundingClientRect().left;
    tip.style.left = (left < plot.clientWidth / 2 ? left + 12 : Math.max(0, left - tip.offsetWidth - 12)) + "px";
  });
  plot.addEventListener("pointerleave", () => (tip.hidden = true));
}
document.documentElement.dataset.ready = "yes";
