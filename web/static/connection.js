// Asking the API, once, again and again, or live; and saying how that goes.

import { byId, write } from "./element.js";
import { moment, setClock } from "./time.js";

const PATIENCE = 5000;
const RETRY = 1000;
// Without an event for so long the worker is asked; with none for so long, by a new stream.
const SILENCE = 3000;
const DEAD = 15000;

// The API has answered, and not with what was asked for; `answer` says why.
export class Refused extends Error {
  constructor(status, answer, path) {
    super(answer.error ?? `${path}: ${status}`);
    Object.assign(this, { status, answer });
  }
}

async function ask(path, patience, options) {
  const signals = [AbortSignal.timeout(patience), options.signal].filter(Boolean);
  const response = await fetch(path, { ...options, signal: AbortSignal.any(signals) });
  if (response.status === 401) location.assign("/login");
  if (response.ok) return response.json();
  throw new Refused(response.status, await response.json().catch(() => ({})), path);
}

// The answer of the API at `path`; without the token, the login.
export const get = (path) => ask(path, PATIENCE, {});

// The answer to a request that brings something; a signal takes it back.
export const send = (method, path, content, patience, signal) =>
  ask(path, patience, {
    method,
    signal,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(content),
  });

let answered = null;

function live() {
  answered = new Date().toISOString();
  document.body.dataset.link = "live";
  write(byId("link"), "Live");
  notice("");
}

function lost(error) {
  if (error instanceof Refused) {
    live();
    notice(`The worker cannot answer: ${error.message}`);
    return;
  }
  const then = answered ? `It last answered at ${moment(answered)}; what is shown is from then.` : "";
  document.body.dataset.link = "lost";
  write(byId("link"), "Disconnected");
  notice(`No connection to the worker. ${then} Trying again…`);
}

export function notice(text) {
  write(byId("notice"), text);
  byId("notice").hidden = !text;
}

// Show the answer at `path`. Returns why there is none.
export async function load(path, show) {
  try {
    const answer = await get(path);
    live();
    show(answer);
  } catch (error) {
    lost(error);
    return error;
  }
}

// Show the answer at `path` again and again while somebody looks. Returns how to ask at once.
export function poll(path, interval, show) {
  let asking = false;
  const ask = async () => {
    if (asking || document.hidden) return;
    asking = true;
    await load(path, show);
    asking = false;
  };
  setInterval(ask, interval);
  document.addEventListener("visibilitychange", ask);
  ask();
  return ask;
}

// Follow the stream. `now` gets the answers of /api/v1/now, `anomaly` each record once, `reset` is
// called when records may be missing, and `disconnected` when nothing can be heard. `first` is the answer that came
// with the page. Returns how to ask at once.
export function follow({ first, now, anomaly, reset, disconnected }) {
  let source, position, heard, streamed, asking;

  const hear = (answer) => {
    heard = performance.now();
    setClock(answer.time);
    live();
    now(answer);
  };
  // A browser has six connections to a site: a tab that nobody sees leaves its own to others, and asks now and then.
  const open = () => {
    source?.close();
    if (document.hidden) return;
    streamed = performance.now();
    const from = position ? `?${new URLSearchParams({ last_event_id: position })}` : "";
    source = new EventSource(`/api/v1/stream${from}`);
    const on = (name, take) =>
      source.addEventListener(name, ({ data, lastEventId }) => {
        streamed = performance.now();
        position = lastEventId;
        take(JSON.parse(data));
      });
    on("now", hear);
    on("anomaly", anomaly);
    on("reset", reset);
    source.addEventListener("error", ask);
  };
  const ask = async () => {
    if (asking) return;
    asking = true;
    try {
      hear(await get("/api/v1/now"));
    } catch (error) {
      heard = performance.now() - SILENCE; // asked again in a moment
      lost(error);
      disconnected();
    }
    asking = false;
  };
  open();
  hear(first);
  setInterval(() => {
    if (performance.now() - heard > SILENCE) ask();
    if (source?.readyState === EventSource.CLOSED || performance.now() - streamed > DEAD) open();
  }, RETRY);
  document.addEventListener("visibilitychange", () => {
    open();
    if (!document.hidden && !position) reset();
  });
  return ask;
}
