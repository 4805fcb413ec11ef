// Arithmetic on arrays with gaps. A gap is null, and stays one: never a zero.

/** How late a process may write its bucket before that counts as a gap. */
const LATE_BUCKETS = 2;

/** The newest value; null if the last buckets are gaps. */
export function latest(values = []) {
  for (let back = 1; back <= LATE_BUCKETS; back += 1) {
    const value = values.at(-back);
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

/** The largest value that is known. */
export function largest(values = []) {
  let most = null;
  for (const value of values) if (value !== null && (most === null || value > most)) most = value;
  return most;
}

/** The mean over the last `count` buckets that are known. */
export function recent(values = [], count = 12) {
  const found = values.slice(-count).filter((value) => value !== null);
  return found.length ? found.reduce((a, b) => a + b, 0) / found.length : null;
}

/** Several arrays added up; a gap where all of them have one. */
export function sum(arrays) {
  return longest(arrays).map((_, i) => {
    const found = arrays.map((values) => values[i]).filter((value) => value !== null && value !== undefined);
    return found.length ? found.reduce((a, b) => a + b, 0) : null;
  });
}

const longest = (arrays) => arrays.reduce((most, values) => (values.length > most.length ? values : most), []);

/** Each array's part of them all; a gap where there is nothing to share. */
export function shares(arrays) {
  const totals = sum(arrays);
  return arrays.map((values) => values.map((value, i) => (totals[i] ? (value ?? 0) / totals[i] : null)));
}

/** Each array on top of those before it. */
export function stack(arrays) {
  const totals = sum(arrays);
  const height = totals.map(() => 0);
  return arrays.map((values) =>
    values.map((value, i) => (totals[i] === null ? null : (height[i] += value ?? 0))),
  );
}

/** Where nobody wrote anything, as runs of [first, last]. */
export function silences({ times_ms, series }) {
  const told = [...Object.values(series.requests_per_s), series.errors_per_s, series.replica_lag_s];
  const runs = [];
  times_ms.forEach((_, i) => {
    if (told.some((values) => (values[i] ?? null) !== null)) return;
    const run = runs.at(-1);
    if (run && run[1] === i - 1) run[1] = i;
    else runs.push([i, i]);
  });
  return runs;
}

/** Points with a gap on both sides: no line reaches them. */
export function lonely(values) {
  const found = [];
  const missing = (i) => values[i] === null || values[i] === undefined;
  for (let i = 0; i < values.length; i += 1) {
    if (!missing(i) && missing(i - 1) && missing(i + 1)) found.push(i);
  }
  return found;
}

/** The path of a small drawing, `width` by `height`, which leaves gaps out. */
export function path(values, width, height) {
  const most = largest(values);
  const least = values.reduce((low, value) => (value !== null && value < low ? value : low), most ?? 0);
  const span = most - least || 1;
  const x = (i) => ((i / Math.max(1, values.length - 1)) * width).toFixed(1);
  const y = (value) => (most === least ? height / 2 : height - ((value - least) / span) * height).toFixed(1);
  let drawn = "";
  let pen = "M";
  values.forEach((value, i) => {
    if (value === null) pen = "M";
    else {
      drawn += `${pen}${x(i)} ${y(value)}`;
      // A point alone is a dot: a line without length, with a round cap.
      if (pen === "M" && (values[i + 1] ?? null) === null) drawn += "h0";
      pen = "L";
    }
  });
  return drawn;
}
