// Numbers and times as people read them. What is not known is a dash, never a zero.

export const UNKNOWN = "–";

/** Between a number and its unit. */
export const NARROW = "\u202f";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minute = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

const DAY_MS = 86_400_000;
const YEAR_S = 31_557_600;

const known = (value) => typeof value === "number" && Number.isFinite(value);

/** Three significant digits, with thousands apart. */
export function number(value) {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return whole.format(value);
  if (size >= 10) return value.toFixed(1);
  return size >= 0.095 ? value.toFixed(2) : String(Number(value.toPrecision(2)));
}

/** A number that fits an axis: 12k, 1.5M. */
export function short(value) {
  if (!known(value)) return UNKNOWN;
  if (Math.abs(value) >= 1e6) return `${trim(value / 1e6)}M`;
  if (Math.abs(value) >= 1e3) return `${trim(value / 1e3)}k`;
  return trim(value);
}

const trim = (value) => String(Number(value.toPrecision(3)));

/** A share, to a tenth of a percent; the last tenth below 100 % never rounds up to all. */
export function percent(value) {
  if (!known(value)) return UNKNOWN;
  const rounded = Math.round(value * 1000) / 10;
  const honest = rounded >= 100 && value < 1 ? 99.9 : rounded;
  return `${honest.toFixed(honest === 100 || honest === 0 ? 0 : 1)}${NARROW}%`;
}

/** Events in a second. */
export function rate(value) {
  return known(value) ? `${number(value)}/s` : UNKNOWN;
}

/** A size in memory. */
export function bytes(value) {
  if (!known(value)) return UNKNOWN;
  const [size, unit] = value < 1 << 20 ? [1 << 10, "KiB"] : value < 1 << 30 ? [1 << 20, "MiB"] : [1 << 30, "GiB"];
  return `${trim(value / size)}${NARROW}${unit}`;
}

/** A span given in milliseconds, in the unit that suits it. */
export function milliseconds(value) {
  if (!known(value)) return UNKNOWN;
  if (Math.abs(value) >= 1000) return seconds(value / 1000);
  return `${Math.abs(value) >= 100 ? whole.format(value) : number(value)}${NARROW}ms`;
}

/** A span given in seconds, from microseconds to days. */
export function seconds(value) {
  if (!known(value)) return UNKNOWN;
  if (Math.abs(value) < 1) return milliseconds(value * 1000);
  if (value < 60) return `${Number(value.toPrecision(value < 10 ? 2 : 3))}${NARROW}s`;
  if (value < 3600) return pair(value, 60, "min", "s");
  if (value < 86_400) return pair(value / 60, 60, "h", "min");
  if (value < YEAR_S) return pair(value / 3600, 24, "d", "h");
  return `${(value / YEAR_S).toFixed(1)}${NARROW}y`;
}

function pair(value, base, large, small) {
  const total = Math.round(value);
  const rest = total % base;
  const head = `${Math.floor(total / base)}${NARROW}${large}`;
  return rest ? `${head} ${rest}${NARROW}${small}` : head;
}

/** When something was, seen from the document's own now. */
export function ago(atMs, nowMs) {
  if (!known(atMs)) return UNKNOWN;
  const past = (nowMs - atMs) / 1000;
  if (Math.abs(past) < 1) return "now";
  const span = seconds(coarse(Math.abs(past)));
  return past > 0 ? `${span} ago` : `in ${span}`;
}

const coarse = (value) => (value < 120 ? Math.round(value) : value < 7200 ? Math.round(value / 60) * 60 : value);

/** A time of day, with its date when that is not today. */
export function time(atMs, nowMs) {
  if (!known(atMs)) return UNKNOWN;
  const at = new Date(atMs);
  const apart = known(nowMs) ? Math.abs(nowMs - atMs) : Infinity;
  if (apart < DAY_MS) return clock.format(at);
  return `${(apart < (YEAR_S * 1000) / 2 ? day : date).format(at)} ${clock.format(at)}`;
}

/** A time of day to the millisecond, as ids of the update log have it. */
export function moment(atMs, nowMs) {
  return known(atMs) ? `${time(atMs, nowMs)}.${String(atMs % 1000).padStart(3, "0")}` : UNKNOWN;
}

/** A label of a time axis. */
export function tick(atS, stepS) {
  const at = new Date(atS * 1000);
  return stepS < 60 ? clock.format(at) : minute.format(at);
}

/** A span of seconds on an axis, in one unit. */
export function span(value) {
  if (!known(value) || value < 60) return seconds(value);
  const [size, unit] = value < 3600 ? [60, "min"] : value < 86_400 ? [3600, "h"] : [86_400, "d"];
  return `${trim(value / size)}${NARROW}${unit}`;
}

/** A count and its noun. */
export function many(value, one, more = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : more}`;
}
