// Asks the API every second and shows what it says.

import { showAnomalies, showDisconnected, showNotices, showStatus } from "./view.js";

const INTERVAL = 1000;
const PATIENCE = 5000;

let answered = null;

async function get(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE) });
  if (response.status === 401) location.assign("/login");
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

async function ask() {
  try {
    return await Promise.all([get("/api/v1/anomalies"), get("/api/v1/status")]);
  } catch {
    return null;
  }
}

async function poll() {
  try {
    const answer = await ask();
    document.body.classList.toggle("stale", answer === null);
    if (answer === null) {
      showDisconnected(answered);
    } else {
      answered = new Date();
      showAnomalies(answer[0]);
      showStatus(answer[1]);
      showNotices(...answer);
    }
  } finally {
    setTimeout(poll, INTERVAL);
  }
}

poll();
