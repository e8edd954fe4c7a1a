// Polls state.json each second and shows it.

import { Chart } from "./charts.js";
import {
  INTERVAL, bytes, changes, clock, count, inFlight, lastBlocks, perSecond, printable, seconds, silence, workerKey,
} from "./figures.js";
import { Table, showList, sign, stack, text } from "./tables.js";

/** Milliseconds between two polls, and until one of them has failed. */
const PERIOD = 1000, TIMEOUT = 5000;
/** The most requests in flight that are shown. */
const MOST = 100;

const place = (id) => document.getElementById(id);
const SHAPES = { booting: "○", ready: "●", retiring: "◐", draining: "◐", running: "▶", waiting: "○", overdue: "▲" };

function workerState(worker) {
  if (worker.blocked) return ["■", `${worker.phase}, blocked for ${seconds(worker.blocked)}`, true];
  if (silence(worker)) return ["▲", `${worker.phase}, no report for ${seconds(silence(worker))}`, true];
  return [SHAPES[worker.phase] ?? "○", worker.phase, false];
}

const charts = {
  requests: new Chart(place("requests-chart"), ["all workers"], perSecond, 1),
  latency: new Chart(place("latency-chart"), ["median", "p99"], seconds, 0.001),
  lag: new Chart(place("lag-chart"), ["median", "p99", "blocked now"], seconds, 0.001),
};
const workers = new Table(place("workers"), "Workers, one row per process", [
  ["Worker", text((worker) => worker.number), ""],
  ["State", sign(workerState), "short"],
  ["PID", text((worker) => worker.pid), "number"],
  ["Generation", text((worker) => worker.generation), "number"],
  ["Age", text((worker) => seconds(worker.age)), "number"],
  ["Memory", text((worker) => bytes(worker.rss)), "number"],
  ["Requests/s", text((worker) => perSecond(worker.rate)), "number"],
  ["In flight", text((worker) => count(worker.in_flight)), "number"],
  ["Overdue", text((worker) => count(worker.overdue)), "number"],
  ["Connections", text((worker) => count(worker.connections?.open)), "number"],
  ["Lag p99", text((worker) => seconds(worker.lag?.p99)), "number"],
  ["Lag max", text((worker) => seconds(worker.lag?.max)), "number"],
]);
const requests = new Table(place("in-flight"), "Requests in flight, the oldest first", [
  ["Age", text((request) => seconds(request.age)), ""],
  ["State", sign((request) => [SHAPES[request.state] ?? "○", request.state, request.state === "overdue"]), "short"],
  ["Worker", text((request) => request.worker.number), "number"],
  ["Method", text((request) => request.method), ""],
  ["Path", text((request) => request.path), "wide"],
  ["Peer", text((request) => request.peer), "short"],
  ["Stack", stack((request) => request.stack), "wide"],
]);
const blocks = new Table(place("blocks"), "The last blocks of the hub, the newest first", [
  ["At", text((block) => clock(block.at)), ""],
  ["Blocked for", text((block) => `${seconds(block.seconds)}${block.lasts ? ", not ended" : ""}`), "number"],
  ["Worker", text((block) => block.worker), "number"],
  ["PID", text((block) => block.pid), "number"],
  ["Place", text((block) => block.place), "wide"],
  ["Request", text((block) => block.request || "–"), "wide"],
  ["Stack", stack((block) => block.stack), "wide"],
]);
const reloads = new Table(place("reloads"), "The last reloads, the newest first", [
  ["At", text((reload) => clock(reload.at)), ""],
  ["Outcome", sign((reload) => (reload.outcome === "done" ? ["✓", "done", false] : ["✗", reload.outcome, true])), ""],
  ["Generation", text((reload) => reload.generation), "number"],
  ["Took", text((reload) => seconds(reload.seconds)), "number"],
]);

/** The server in words. They have no figure that changes each second, because screen readers announce them. */
function summary(state) {
  const { server } = state;
  const words = [`${server.state[0].toUpperCase()}${server.state.slice(1)}, generation ${server.generation}, ${
    state.workers.length} ${state.workers.length === 1 ? "worker" : "workers"}.`];
  for (const worker of state.workers) {
    if (worker.blocked) words.push(`Worker ${worker.number} (PID ${worker.pid}) is blocked.`);
    else if (silence(worker)) words.push(`Worker ${worker.number} (PID ${worker.pid}) does not report.`);
  }
  return words.join(" ");
}

function serverEntries(state, change) {
  const { server } = state;
  const all = (field) => state.workers.reduce((total, worker) => total + (worker[field] ?? 0), 0);
  return [
    ["Master PID", server.pid], ["Up for", seconds(server.now - server.started)],
    ["Requests/s", perSecond(change.rate)], ["Request time, p99", seconds(change.time.p99)],
    ["In flight", count(all("in_flight"))], ["Overdue", count(all("overdue"))],
    ...state.accept_queue.map((queue) => [
      `Accept queue of ${printable(queue.address).replace("http://", "")}`, `${count(queue.length)} of ${count(queue.limit)}`]),
    ["gworkers", server.gworkers], ["Gunicorn", server.gunicorn],
  ];
}

function totalEntries({ totals }) {
  const present = (counts) => Object.entries(counts).filter(([, number]) => number);
  return [
    ...present(totals.requests).map(([status, number]) => [`Requests ${status}`, count(number)]),
    ["Rejected: too many active requests", count(totals.shed)], ["Timed out", count(totals.timed_out)],
    ["Client gone", count(totals.client_gone)], ["Connections refused", count(totals.connections_refused)],
    ["Blocks", count(totals.blocks)], ["Reloads", count(totals.reloads)],
    ["Failed reloads", count(totals.failed_reloads)], ["Failed boots", count(totals.failed_boots)],
    ...present(totals.recycles).map(([reason, number]) => [`Recycled: ${reason}`, count(number)]),
    ["Received", bytes(totals.bytes_in)], ["Sent", bytes(totals.bytes_out)],
  ];
}

function show(state, change) {
  const time = state.server.now;
  const line = summary(state);
  if (place("state").textContent !== line) place("state").textContent = line;
  showList(place("server"), serverEntries(state, change));
  charts.requests.add(time, [change.rate]);
  charts.latency.add(time, [change.time.p50, change.time.p99]);
  charts.lag.add(time, [
    change.lag.p50, change.lag.p99, Math.max(0, ...state.workers.map((worker) => worker.blocked ?? 0))]);
  workers.show(state.workers.map((worker) => ({ ...worker, rate: change.workerRate.get(workerKey(worker)) })),
    workerKey, (worker) => worker.blocked || silence(worker));
  const flying = inFlight(state);
  requests.caption.textContent = flying.length > MOST
    ? `The oldest ${MOST} of ${flying.length} requests in flight` : "Requests in flight, the oldest first";
  requests.show(flying.slice(0, MOST),
    (request) => [request.worker.pid, request.peer, request.method, request.path].join(" "),
    (request) => request.state === "overdue");
  blocks.show(lastBlocks(state), (block) => `${block.at} ${block.pid}`, (block) => block.lasts);
  reloads.show([...state.reloads].sort((one, other) => other.at - one.at), (reload) => `${reload.at}`, (reload) => reload.outcome !== "done");
  showList(place("totals"), totalEntries(state));
}

/** Snapshots of the last seconds, the oldest first. */
let history = [];

function receive(state) {
  const last = history[history.length - 1];
  if (last && (last.server.started !== state.server.started || last.server.pid !== state.server.pid)) {
    // The server is a new one, and its counters have begun again.
    history = [];
    Object.values(charts).forEach((chart) => chart.clear());
  }
  history.push(state);
  while (history.length > 1 && state.server.now - history[1].server.now >= INTERVAL) history.shift();
  show(state, changes(history[0], state));
}

let lastAnswer = null;

async function poll() {
  const problem = place("problem");
  const control = new AbortController();
  const timer = setTimeout(() => control.abort(), TIMEOUT);
  try {
    const response = await fetch("state.json", { cache: "no-store", signal: control.signal });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const state = await response.json();
    if (!paused()) receive(state);
    lastAnswer = new Date();
    problem.hidden = true;
  } catch (error) {
    const since = lastAnswer ? `since ${lastAnswer.toLocaleTimeString("en-GB")}` : "yet";
    const reason = error.name === "AbortError" ? `no answer within ${TIMEOUT / 1000} s` : error.message;
    const line = `No data ${since}: ${reason}. The figures below are old.`;
    if (problem.textContent !== line) problem.textContent = line;
    problem.hidden = false;
  } finally {
    clearTimeout(timer);
    setTimeout(poll, PERIOD);
  }
}

const pause = place("pause");
const paused = () => pause.getAttribute("aria-pressed") === "true";
pause.addEventListener("click", () => pause.setAttribute("aria-pressed", String(!paused())));
poll();
