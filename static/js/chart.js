// Draws a chart from JSON that the page carries, and again whenever a refresh brings newer JSON.
// <figure data-chart="checks" data-chart-source="ID of a JSON script"><div data-chart-plot tabindex="0"></div><p data-chart-says></p></figure>
// "checks" stacks allowed, shadow and denied; "latency" draws p50, p95 and p99. Arrow keys read it step by step.

const HEIGHT = 240;
const SHORT = [
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "K"],
];
const charts = new Map();
const probe = document.createElement("span");
probe.hidden = true;

function colour(name) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

function short(value) {
  const step = SHORT.find(([size]) => Math.abs(value) >= size);
  return step ? `${+(value / step[0]).toFixed(1)} ${step[1]}` : `${+value.toFixed(2)}`;
}

const full = (value) => (value == null ? "none" : value.toLocaleString("en"));
const ms = (value) => (value == null ? "none" : `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`);

function layers(data) {
  const sum = (...names) => data.x.map((_, at) => names.reduce((all, name) => all + data[name][at], 0));
  const bars = window.uPlot.paths.bars({ size: [0.82, 40], align: 1 });
  const stacked = (label, name, values) => ({
    values,
    series: {
      label,
      fill: () => colour(name),
      stroke: () => colour(name),
      width: 0,
      paths: bars,
      points: { show: false },
      value: (_, __, ___, at) => (at == null ? "" : full(latest(data)[name][at])),
    },
  });
  const line = (label, name, values, dash) => ({
    values,
    series: {
      label,
      stroke: () => colour(name === "before" ? "text-faint" : name),
      width: 1.5,
      dash,
      points: { show: false },
      value: (_, __, ___, at) => (at == null ? "" : full(latest(data)[name][at])),
    },
  });
  const found = [
    stacked("Denied", "denied", sum("allowed", "shadow", "denied")),
    stacked("Would deny in shadow", "shadow", sum("allowed", "shadow")),
    stacked("Allowed", "allowed", sum("allowed")),
  ];
  if (data.degraded.some(Boolean)) found.push(line("Degraded", "degraded", sum("degraded"), [4, 3]));
  if (data.before) found.push(line("Compared with", "before", data.before, [6, 4]));
  return found;
}

function lines(data) {
  return [
    ["p99", "denied", [2, 3]],
    ["p95", "degraded", [6, 3]],
    ["p50", "accent", []],
  ].map(([name, tone, dash]) => ({
    values: data[name] ?? data.x.map(() => null),
    series: { label: name, stroke: () => colour(tone), width: 1.5, dash, spanGaps: false, points: { show: false }, value: (_, value) => (value == null ? "" : ms(value)) },
  }));
}

// A refresh replaces what a legend reads without building the chart anew.
const newest = new WeakMap();
const latest = (data) => newest.get(data) ?? data;

function markersDraw(plot, data) {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  ctx.save();
  for (const marker of latest(data).markers) {
    const x = plot.valToPos(marker.at, "x", true);
    if (x < left || x > left + width) continue;
    ctx.strokeStyle = colour(marker.kind === "deploy" ? "accent" : "text-soft");
    ctx.fillStyle = ctx.strokeStyle;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, top + height);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.beginPath();
    const size = 5 * devicePixelRatio;
    if (marker.kind === "deploy") {
      ctx.moveTo(x - size, top);
      ctx.lineTo(x + size, top);
      ctx.lineTo(x, top + 1.6 * size);
    } else ctx.arc(x, top + size, 0.7 * size, 0, 7);
    ctx.fill();
  }
  ctx.restore();
}

const TONES = { Denied: "denied", "Would deny in shadow": "shadow", Allowed: "allowed", Degraded: "degraded", p50: "accent", p95: "degraded", p99: "denied" };

function options(figure, data, drawn, width) {
  const isChecks = figure.dataset.chart === "checks";
  const axis = {
    stroke: () => colour("text-faint"),
    grid: { stroke: () => colour("line"), width: 1 },
    ticks: { show: false },
    font: `12px ${getComputedStyle(document.body).fontFamily}`,
  };
  return {
    width,
    height: HEIGHT,
    tzDate: (seconds) => window.uPlot.tzDate(new Date(seconds * 1000), data.zone),
    cursor: { drag: { x: false, y: false }, points: { show: false } },
    legend: { markers: { width: 0, fill: (_, at) => colour(TONES[drawn[at - 1]?.series.label] ?? "text-faint") } },
    scales: {
      x: { time: true, range: (_, min, max) => [min, max + data.step] },
      y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] },
    },
    axes: [
      { ...axis, grid: { show: false }, space: 70, size: 30, values: timeWords(data) },
      { ...axis, size: 56, values: (_, ticks) => ticks.map((tick) => (isChecks ? short(tick) : ms(tick))) },
    ],
    series: [{ label: "From", value: (_, value) => (value == null ? "" : momentWords(value, data)) }, ...drawn.map(({ series }) => series)],
    hooks: { draw: [(plot) => markersDraw(plot, data)] },
  };
}

function timeWords(data) {
  const day = new Intl.DateTimeFormat("en-GB", { timeZone: data.zone, day: "numeric", month: "short" });
  const time = new Intl.DateTimeFormat("en-GB", { timeZone: data.zone, hour: "2-digit", minute: "2-digit" });
  return (_, ticks) =>
    ticks.map((tick) => {
      const moment = new Date(tick * 1000);
      const said = time.format(moment);
      return data.step >= 86_400 || said === "00:00" ? day.format(moment) : said;
    });
}

function momentWords(seconds, data) {
  const shape = { timeZone: data.zone, weekday: "short", day: "numeric", month: "short", ...(data.step < 86_400 && { hour: "2-digit", minute: "2-digit" }) };
  return new Intl.DateTimeFormat("en-GB", shape).format(new Date(seconds * 1000));
}

function chartRead(figure) {
  const source = document.getElementById(figure.dataset.chartSource);
  return source ? JSON.parse(source.textContent) : null;
}

function chartDraw(figure) {
  const box = figure.querySelector("[data-chart-plot]");
  const data = chartRead(figure);
  if (!box || !data || !window.uPlot) return;
  const drawn = figure.dataset.chart === "checks" ? layers(data) : lines(data);
  const columns = [data.x, ...drawn.map(({ values }) => values)];
  const held = charts.get(figure);
  if (held && held.columns === columns.length) {
    newest.set(held.data, data);
    held.plot.setData(columns);
    return;
  }
  held?.plot.destroy();
  box.replaceChildren();
  const plot = new window.uPlot(options(figure, data, drawn, box.clientWidth), columns, box);
  charts.set(figure, { plot, data, columns: columns.length });
  new ResizeObserver(() => box.clientWidth && plot.setSize({ width: box.clientWidth, height: HEIGHT })).observe(box);
}

function chartsDraw() {
  for (const figure of document.querySelectorAll("[data-chart]")) chartDraw(figure);
}

function chartStep(figure, by) {
  const { plot, data } = charts.get(figure);
  const last = plot.data[0].length - 1;
  const at = Math.min(last, Math.max(0, (plot.cursor.idx ?? (by > 0 ? -1 : last + 1)) + by));
  plot.setCursor({ left: plot.valToPos(plot.data[0][at], "x") + 1, top: 0 });
  const said = plot.series.slice(1).map((series, place) => `${series.label} ${series.value(plot, plot.data[place + 1][at], place + 1, at)}`);
  const says = figure.querySelector("[data-chart-says]");
  if (says) says.textContent = `${momentWords(plot.data[0][at], data)}: ${said.join(", ")}`;
}

document.addEventListener("keydown", (event) => {
  const figure = event.target.closest?.("[data-chart-plot]")?.closest("[data-chart]");
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!figure || !by || !charts.has(figure)) return;
  event.preventDefault();
  chartStep(figure, by);
});

// A click is no reading: focus would hold back the refresh around the chart. Tab still gets there.
document.addEventListener("mousedown", (event) => {
  if (event.target.closest("[data-chart-plot]")) event.preventDefault();
});

new MutationObserver(() => charts.forEach(({ plot }) => plot.redraw())).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach(({ plot }) => plot.redraw()));
document.addEventListener("htmx:afterSettle", chartsDraw);
chartsDraw();
