// One chart: its drawing, a legend that shows the values under the cursor, a summary in words, and its data as a table.

import { el, setAttribute, setText, svg } from "./dom.js";
import { RANGE_WORDS } from "./address.js";
import { many, short, span, tick, time, UNKNOWN } from "./format.js";
import { largest, latest, lonely, silences, stack } from "./series.js";
import { Table } from "./table.js";

const HEIGHT_PX = 172;
const AXIS_PX = 46;
/** Rows of a chart's table; more are no longer read. */
const TABLE_ROWS = 120;
/** What the axis of a logarithmic chart spans while it has no values. */
const EMPTY_DECADES = [0.1, 10];

/** Steps of an axis in seconds, which people count by sixties. */
const DECIMAL = [-5, -4, -3, -2, -1, 0].flatMap((e) => [1, 2, 5].map((digit) => digit * 10 ** e));
const STEPS_S = [...DECIMAL, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800, 86_400, 604_800];

/** A value, if it is a power of ten. */
const decade = (value) => (Math.abs(Math.log10(value) % 1) < 1e-9 ? value : null);

/** All charts share one cursor. */
const sync = () => uPlot.sync("charts");
const all = new Set();

/** Draws every chart again, e.g. in the colours of another theme. */
export function repaint() {
  for (const chart of all) chart.repaint();
}

export class Chart {
  #spec;
  #plot = null;
  #frame;
  #legend = [];
  #hovered;
  #table;
  #details;
  #hidden = new Set();
  #arrays = [];
  #document = null;
  #range = "15m";

  /**
   * `spec`: id, title, note, format, series of {name, tone, dash, pick}; `stacked`, `log` and `most` (of the axis) if so.
   * `pick` takes the document and returns an array.
   */
  constructor(spec) {
    this.#spec = spec;
    this.#hovered = el("span", { class: "hovered" });
    this.#frame = el("div", { class: "plot", tabindex: "0", role: "img", "aria-label": spec.title });
    this.#table = new Table({ caption: spec.title, columns: this.#columns(), keyOf: (row) => row.at });
    this.#details = el("details", { class: "data" }, el("summary", {}, "Table"), this.#table.node);
    this.#details.addEventListener("toggle", () => this.#fillTable());
    this.#frame.addEventListener("keydown", (event) => this.#walk(event));
    this.node = el(
      "figure",
      { class: "panel chart", id: spec.id },
      el("figcaption", {}, el("h3", {}, spec.title), this.#hovered, el("p", { class: "small" }, spec.note)),
      this.#frame,
      el("ul", { class: "legend" }, ...spec.series.map((series, i) => this.#key(series, i))),
      this.#details,
    );
    new ResizeObserver(() => this.#fit()).observe(this.#frame);
    all.add(this);
  }

  /** Shows a document's numbers. */
  update(document, range) {
    this.#document = document;
    this.#range = range;
    this.#arrays = this.#spec.series.map((series) => series.pick(document) ?? document.times_ms.map(() => null));
    if (this.#plot === null) this.#build();
    this.#plot.setData(this.#data());
    this.#say();
    this.#fillTable();
  }

  repaint() {
    this.#plot?.redraw(false, true);
  }

  #columns() {
    const values = this.#spec.series.map((series, i) => ({
      title: series.name,
      number: true,
      text: (row) => this.#spec.format(row.values[i]),
    }));
    return [{ title: "Time", text: (row) => time(row.at, this.#document.now_ms) }, ...values];
  }

  #key(series, index) {
    const value = el("b", {}, UNKNOWN);
    const swatch = svg(
      "svg",
      { class: "swatch", viewBox: "0 0 18 10", "aria-hidden": "true", "data-tone": series.tone },
      this.#spec.stacked
        ? svg("rect", { width: 18, height: 10, rx: 2, fill: "currentColor" })
        : svg("path", { d: "M0 5H18", stroke: "currentColor", "stroke-width": series.width ?? 2, "stroke-dasharray": (series.dash ?? []).join(" ") }),
    );
    const button = el("button", { type: "button", "aria-pressed": "true" }, swatch, el("span", {}, series.name), value);
    button.addEventListener("click", () => this.#toggle(index));
    this.#legend.push({ button, swatch, value });
    return el("li", {}, button);
  }

  #toggle(index) {
    if (!this.#hidden.delete(index)) this.#hidden.add(index);
    setAttribute(this.#legend[index].button, "aria-pressed", String(!this.#hidden.has(index)));
    this.#plot.setSeries(index + 1, { show: !this.#hidden.has(index) }, false);
    this.#band();
    this.#plot.setData(this.#data());
  }

  #data() {
    const times = this.#document.times_ms.map((ms) => ms / 1000);
    if (!this.#spec.stacked) return [times, ...this.#arrays];
    const nothing = (values) => values.map((value) => (value === null ? null : 0));
    return [times, ...stack(this.#arrays.map((values, i) => (this.#hidden.has(i) ? nothing(values) : values)))];
  }

  #build() {
    const options = {
      width: Math.max(1, this.#frame.clientWidth),
      height: HEIGHT_PX,
      legend: { show: false },
      cursor: { sync: { key: sync().key, setSeries: false }, points: { size: 6 }, drag: { x: false, y: false } },
      scales: { x: { time: false, range: () => this.#bounds() }, y: this.#scale() },
      axes: [this.#axis({ values: (_, splits, __, ___, step) => splits.map((at) => tick(at, step)), space: 64, size: 24 }),
        this.#axis({ values: (_, splits) => splits.map((v) => (v === null ? "" : this.#label(v))), space: 28, size: AXIS_PX, decades: this.#spec.log, ...this.#steps() })],
      series: [{}, ...this.#spec.series.map((series, i) => this.#line(series, i))],
      hooks: { setCursor: [(plot) => this.#read(plot)], drawClear: [(plot) => this.#shade(plot)] },
    };
    this.#plot = new uPlot(options, this.#data(), this.#frame);
    // The picture has its words outside; what is inside it is for the eye alone.
    this.#plot.root.setAttribute("aria-hidden", "true");
    sync().sub(this.#plot);
    this.#band();
  }

  #axis({ decades, ...more }) {
    const tone = (name) => () => getComputedStyle(this.#frame).getPropertyValue(name);
    const font = `11px ${getComputedStyle(this.#frame).fontFamily}`;
    return { stroke: tone("--muted"), font, gap: 4, grid: { stroke: tone("--grid"), width: 1, filter: (_, splits) => (decades ? splits.map(decade) : splits) }, ticks: { show: false }, ...more };
  }

  #scale() {
    const { log, most } = this.#spec;
    if (log) return { distr: 3, range: (_, low, high) => (low === null ? EMPTY_DECADES : uPlot.rangeLog(low, high, 10, false)) };
    return { range: (_, __, high) => [0, most ?? (high > 0 ? uPlot.rangeNum(0, high, 0.1, true)[1] : 1)] };
  }

  #label(value) {
    return (this.#spec.axis ?? short)(value);
  }

  #steps() {
    return this.#spec.axis === span ? { incrs: STEPS_S } : {};
  }

  #line(series, index) {
    const colour = () => getComputedStyle(this.#legend[index].swatch).color;
    const faint = () => colour().replace("rgb(", "rgba(").replace(")", ", 0.72)");
    return {
      label: series.name,
      stroke: colour,
      width: this.#spec.stacked ? 1 : (series.width ?? 2),
      dash: series.dash,
      fill: this.#spec.stacked ? faint : undefined,
      points: { show: false, size: 4, filter: () => lonely(this.#plot.data[index + 1]) },
    };
  }

  /** Each shown series of a stack is filled down to the shown one below. */
  #band() {
    if (!this.#spec.stacked) return;
    const shown = this.#spec.series.map((_, i) => i).filter((i) => !this.#hidden.has(i));
    this.#plot.delBand(null);
    shown.slice(1).forEach((i, below) => this.#plot.addBand({ series: [i + 1, shown[below] + 1] }));
  }

  #bounds() {
    const times = this.#document.times_ms;
    return times.length > 1 ? [times[0] / 1000, times.at(-1) / 1000] : [0, 1];
  }

  /** Shades the buckets that nobody wrote, in every chart alike, so that nothing is not taken for little. */
  #shade(plot) {
    const runs = silences(this.#document);
    const half = this.#document.step_s / 2;
    const { ctx } = plot;
    const { left, width, top, height } = plot.bbox;
    const x = (at) => Math.min(left + width, Math.max(left, plot.valToPos(at, "x", true)));
    ctx.save();
    ctx.fillStyle = getComputedStyle(this.#frame).getPropertyValue("--gap");
    for (const [first, last] of runs) {
      const from = x(plot.data[0][first] - half);
      ctx.fillRect(from, top, x(plot.data[0][last] + half) - from, height);
    }
    ctx.restore();
  }

  #fit() {
    const width = this.#frame.clientWidth;
    if (this.#plot !== null && width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT_PX });
  }

  #read(plot) {
    const index = plot.cursor.idx ?? null;
    const at = index === null ? undefined : this.#document.times_ms[index];
    this.#legend.forEach(({ value }, i) => {
      const shown = at === undefined ? latest(this.#arrays[i]) : this.#arrays[i][index];
      setText(value, this.#spec.format(shown));
    });
    setText(this.#hovered, at === undefined ? "" : time(at, this.#document.now_ms));
  }

  #say() {
    this.#read(this.#plot);
    const parts = this.#spec.series.map((series, i) => {
      const values = this.#arrays[i];
      return `${series.name} ${this.#spec.format(latest(values))}, at most ${this.#spec.format(largest(values))}`;
    });
    const missing = silences(this.#document).reduce((count, [first, last]) => count + last - first + 1, 0);
    const holes = missing ? ` ${many(missing, "bucket")} of ${this.#document.times_ms.length} without data.` : "";
    setAttribute(this.#frame, "aria-label", `${this.#spec.title}, last ${RANGE_WORDS[this.#range]}. Now: ${parts.join("; ")}.${holes}`);
  }

  #fillTable() {
    if (!this.#details.open || this.#document === null) return;
    const rows = this.#document.times_ms.map((at, i) => ({ at, values: this.#arrays.map((values) => values[i]) }));
    this.#table.update(rows.reverse().slice(0, TABLE_ROWS));
  }

  /** Arrow keys move the cursor of all charts. */
  #walk(event) {
    const last = this.#document.times_ms.length - 1;
    const here = this.#plot.cursor.idx ?? last;
    const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: last, Escape: null }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const at = to === null ? null : this.#plot.data[0][Math.min(last, Math.max(0, to))];
    for (const chart of all) chart.point(at);
  }

  /** Puts the cursor at a time, or away. */
  point(at) {
    const left = at === null ? -10 : this.#plot.valToPos(at, "x");
    this.#plot.setCursor({ left, top: at === null ? -10 : 1 }, true, false);
  }
}
