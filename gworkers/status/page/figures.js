// Figures from snapshots of state.json: rates and quantiles between two of them, and their text.

/** Seconds between the two snapshots from which a rate is computed. Workers publish every 0.4 s. */
export const INTERVAL = 5;

/**
 * The quantile *q* of a histogram [[upper bound, cumulative count], ...], interpolated within its bucket.
 * In the last bucket, which has no upper bound, it is that bucket's lower bound. null without samples.
 */
export function quantile(buckets, q) {
  const total = buckets.length ? buckets[buckets.length - 1][1] : 0;
  if (!(total > 0)) return null;
  let lower = 0, below = 0;
  for (const [bound, count] of buckets) {
    if (count >= q * total && count > below) {
      return Number.isFinite(bound) ? lower + (bound - lower) * (q * total - below) / (count - below) : lower;
    }
    if (Number.isFinite(bound)) lower = bound;
    below = count;
  }
  return lower;
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** The samples of a histogram from one snapshot to another. */
function between(before, after) {
  const buckets = after.buckets.map(([bound, count], index) => [bound, count - (before.buckets[index]?.[1] ?? 0)]);
  return [...buckets, [Infinity, after.count - before.count]];
}

/** The identity of a worker process and its counters. */
export const workerKey = (worker) => `${worker.slot} ${worker.pid}`;

/** The changes from one snapshot to a later one. Rates are null if no time has passed. */
export function changes(before, after) {
  const seconds = after.server.now - before.server.now;
  const rate = (from, to) => (seconds > 0 ? Math.max(0, to - from) / seconds : null);
  const earlier = new Map(before.workers.map((worker) => [workerKey(worker), worker.requests]));
  const time = between(before.request_time, after.request_time);
  const lag = between(before.lag, after.lag);
  return {
    rate: rate(sum(Object.values(before.totals.requests)), sum(Object.values(after.totals.requests))),
    workerRate: new Map(after.workers.map((worker) => [
      workerKey(worker), rate(earlier.get(workerKey(worker)) ?? 0, worker.requests)])),
    time: { p50: quantile(time, 0.5), p99: quantile(time, 0.99) },
    lag: { p50: quantile(lag, 0.5), p99: quantile(lag, 0.99) },
  };
}

/** Seconds since the worker reported, if these are too many; otherwise 0. A worker that boots has not reported yet. */
export function silence(worker) {
  return worker.phase !== "booting" && worker.published > 2 ? worker.published : 0;
}

/** The requests in flight of all workers, the oldest first. Their age was taken when the worker published it. */
export function inFlight(state) {
  return state.workers
    .flatMap((worker) => worker.in_flight_requests.map((request) => ({
      ...request, worker, age: request.age + (worker.published ?? 0) })))
    .sort((one, other) => other.age - one.age);
}

/**
 * The blocks, the newest first. A block was reported while it lasted: if it has not ended, "seconds" is its duration
 * until now, and "lasts" is true.
 */
export function lastBlocks(state) {
  const { now } = state.server;
  return state.blocks.map((block) => {
    const worker = state.workers.find((each) => each.pid === block.pid);
    const lasts = Boolean(worker?.blocked) && now - worker.blocked < block.at;
    return { ...block, lasts, seconds: lasts ? worker.blocked : block.seconds };
  }).sort((one, other) => other.at - one.at);
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0 s";
  if (value < 0.0095) return `${(value * 1000).toFixed(1)} ms`;
  if (value < 0.9995) return `${(value * 1000).toFixed(0)} ms`;
  if (value < 99.95) return `${value.toFixed(1)} s`;
  if (value < 5400) return `${(value / 60).toFixed(0)} min`;
  if (value < 172800) return `${(value / 3600).toFixed(1)} h`;
  return `${(value / 86400).toFixed(0)} days`;
}

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit && value < 9.95 ? value.toFixed(1) : value.toFixed(0)} ${units[unit]}`;
}

export function count(value) {
  return value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en");
}

export function perSecond(value) {
  if (value === null || value === undefined) return "–";
  return value && value < 9.95 ? value.toFixed(1) : count(value);
}

export const clock = (unix) => new Date(unix * 1000).toLocaleTimeString("en-GB");

/** *text* with escapes for characters that are invisible or change the order of others. Line ends are kept. */
export function printable(text) {
  return String(text ?? "").replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (char) => (
    char === "\n" ? char : `\\u{${char.codePointAt(0).toString(16)}}`));
}
