// Numbers, times and ticks as text, as seqlight.report.charts writes them.
const pad = (number, digits = 2) => String(number).padStart(digits, "0");
const timeText = (at, style) => {
  if (style === "step") return at.toLocaleString("en");
  const date = new Date(at);
  const whole = pad(date.getUTCFullYear(), 4) + "-" + pad(date.getUTCMonth() + 1) + "-" + pad(date.getUTCDate()) +
    " " + pad(date.getUTCHours()) + ":" + pad(date.getUTCMinutes()) + ":" + pad(date.getUTCSeconds()) +
    "." + pad(date.getUTCMilliseconds(), 3);
  return whole.slice(0, { year: 4, month: 7, day: 10, minute: 16, second: 19, fraction: 23 }[style]);
};
const numberText = (value, chart) => {
  if (value === null || value === undefined) return "–";
  if (chart.exponent || (value !== 0 && (Math.abs(value) >= 1e15 || Math.abs(value) < 0.5 * 10 ** -chart.decimals)))
    return value === 0 ? "0" : value.toPrecision(4).replace("-", "−");
  const decimals = { minimumFractionDigits: chart.decimals, maximumFractionDigits: chart.decimals };
  return value.toLocaleString("en", decimals).replace("-", "−");
};
const niceStep = (step) => {
  const power = 10 ** Math.floor(Math.log10(step));
  return [1, 2, 2.5, 5, 10].map((nice) => nice * power).find((nice) => nice >= step * (1 - 1e-9));
};
const axisNumber = (number, decimals, largest) => {
  if (number === 0) number = 0; // no "−0"
  const long = (size, unit) => Number((number / size).toPrecision(6)).toLocaleString("en") + unit;
  if (largest >= 1e12 || decimals > 6) return number.toPrecision(3).replace("-", "−");
  if (largest >= 1e9) return long(1e9, " bn").replace("-", "−");
  if (largest >= 1e6) return long(1e6, " M").replace("-", "−");
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return number.toLocaleString("en", digits).replace("-", "−");
};
const MINUTE = 60000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const timeTicks = (low, high, style, wanted) => {
  const span = high - low, found = [];
  if (style === "step") {
    const step = Math.max(1, Math.ceil(niceStep(span / wanted)));
    for (let at = Math.ceil(low / step) * step; at <= high; at += step) found.push([at, timeText(at, style)]);
    return found;
  }
  const least = span / wanted;
  if (style === "year" || style === "month" || least > 20 * DAY) {
    const months = [1, 3, 6, 12, 24, 60, 120, 240, 600, 1200].find((step) => step * 30.4 * DAY >= least) ?? 1200;
    const begin = new Date(low);
    let month = Math.ceil((begin.getUTCFullYear() * 12 + begin.getUTCMonth()) / months) * months;
    for (let at = low; at <= high; month += months) {
      const date = new Date(0);
      date.setUTCFullYear(Math.floor(month / 12), month % 12, 1);
      at = date.getTime();
      if (at >= low && at <= high) found.push([at, timeText(at, months >= 12 ? "year" : "month")]);
      if (at > high) break;
    }
    return found;
  }
  const steps = [1000, 5000, 15000, 30000, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR,
    12 * HOUR, DAY, 2 * DAY, 7 * DAY];
  const step = steps.find((one) => one >= least) ?? 7 * DAY;
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) {
    const text = timeText(at, "second");
    found.push([at, at % DAY === 0 ? text.slice(5, 10) : text.slice(11, step < MINUTE ? 19 : 16)]);
  }
  return found;
};
