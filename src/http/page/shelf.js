// The shelf: the newest three characters, or those with one name, read again whenever something changes.

import { createCard } from "./card.js";
import { byId, onSubmit } from "./dom.js";
import { say, showProblem } from "./forms.js";
import { READ } from "./jobs.js";

const SOON_MS = 50;

export function createShelf(submit) {
  const head = byId("shelf-head");
  const list = byId("characters");
  let name = "";
  let latestRead = 0;
  let timer;

  /** Reads the shelf again; only the answer to the latest request is shown. */
  async function refresh() {
    const turn = ++latestRead;
    const asked = name;
    try {
      const { Message, Status } = await submit(READ, { Filter: asked ? { Name: asked } : {} });
      if (turn !== latestRead) return;
      say(head, Status ? "" : Message, Status);
      if (Status) show(Message, asked);
    } catch (problem) {
      if (turn === latestRead) showProblem(head, problem);
    }
  }

  /** Reads once after several outcomes arrive together, as after a reconnect. */
  function refreshSoon() {
    clearTimeout(timer);
    timer = setTimeout(refresh, SOON_MS);
  }

  function filter() {
    name = byId("filter-name").value.trim();
    refresh();
  }

  function show(characters, asked) {
    place(characters);
    byId("shelf-title").textContent = asked ? `Named “${asked}”` : "Newest three";
    if (characters.length > 0) byId("characters-empty").hidden = true;
    else if (asked) showEmpty(`You have no character named exactly “${asked}”. Clear the name to see the newest.`);
    else showEmpty("No characters yet. Create your first one, and it will appear here.");
  }

  /** Shows these characters; a keyboard user's focus survives moved and rebuilt cards. */
  function place(characters) {
    const present = new Map([...list.children].map((card) => [card.dataset.id, card]));
    const focused = document.activeElement;
    const focusedId = list.contains(focused) && focused.closest(".card").dataset.id;
    const cardOf = (character) => reusable(present.get(character._id), character) ?? createCard(character, submit);
    list.replaceChildren(...characters.map(cardOf));
    if (list.contains(focused)) focused.focus();
    else if (focusedId) list.querySelector(`[data-id="${focusedId}"] [data-action=edit]`)?.focus();
  }

  /** Forgets what one user saw, and any read under way, before the next user signs in. */
  function clear() {
    clearTimeout(timer);
    latestRead += 1;
    list.replaceChildren();
    say(head, "");
    showEmpty("Loading your characters…");
  }

  onSubmit(byId("filter-form"), filter);
  byId("filter-name").addEventListener("input", ({ target }) => target.value === "" && filter());
  return { refresh, refreshSoon, clear };
}

/** The card, if it can stay: one being edited is left alone, and an unchanged one need not be rebuilt. */
function reusable(card, { updatedAt }) {
  return card && (card.dataset.mode !== "view" || card.dataset.updated === updatedAt) ? card : null;
}

function showEmpty(text) {
  byId("characters-empty-text").textContent = text;
  byId("characters-empty").hidden = false;
}
