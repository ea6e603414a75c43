// The feed of outcomes, newest first, and the number of jobs under way.

import { byId, clone, fill } from "./dom.js";

const KEPT = 50;

export function showOutcome(outcome) {
  const list = byId("outcomes");
  list.prepend(build(outcome));
  while (list.children.length > KEPT) list.lastElementChild.remove();
  byId("outcomes-empty").hidden = true;
}

export function showUnderWay(count) {
  byId("under-way").textContent = count === 0 ? "" : `${count} under way`;
}

export function clearOutcomes() {
  byId("outcomes").replaceChildren();
  byId("outcomes-empty").hidden = false;
  showUnderWay(0);
}

function build({ queue, Message, Status, took }) {
  const item = clone("outcome-template");
  item.dataset.status = Boolean(Status);
  if (queue) item.dataset.queue = queue;
  fill(item, "time", new Date().toLocaleTimeString([], { hour12: false }));
  fill(item, "kind", queue?.replace("_Character", "") ?? "Job");
  fill(item, "message", describe(Message));
  fill(item, "took", took === undefined ? "" : formatDuration(took));
  return item;
}

function describe(message) {
  if (!Array.isArray(message)) return String(message);
  if (message.length === 0) return "No characters";
  const names = message.map(({ Name }) => Name).join(", ");
  return `${message.length} ${message.length === 1 ? "character" : "characters"}: ${names}`;
}

function formatDuration(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
