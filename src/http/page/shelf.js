// The shelf: the newest three characters, or those of one name, read again whenever something has changed.

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

  /** Reads the shelf again; of several answers only that to the latest question is shown. */
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

  /** Several outcomes at once, as after a reconnect, are followed by one read. */
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
    else if (asked) showEmpty(`No character of yours is named exactly “${asked}”. Clear the name to see the newest.`);
    else showEmpty("No characters yet. Write your first one, and it will stand here.");
  }

  /** Moving or rebuilding a card must not cost a keyboard user the place. */
  function place(characters) {
    const present = new Map([...list.children].map((card) => [card.dataset.id, card]));
    const focused = document.activeElement;
    const focusedId = list.contains(focused) && focused.closest(".card").dataset.id;
    const cardOf = (character) => reusable(present.get(character._id), character) ?? createCard(character, submit);
    list.replaceChildren(...characters.map(cardOf));
    if (list.contains(focused)) focused.focus();
    else if (focusedId) list.querySelector(`[data-id="${focusedId}"] [data-action=edit]`)?.focus();
  }

  /** Forgets what one user saw, and what is still being read, before another comes. */
  function clear() {
    clearTimeout(timer);
    latestRead += 1;
    list.replaceChildren();
    say(head, "");
    showEmpty("Looking for your characters…");
  }

  onSubmit(byId("filter-form"), filter);
  byId("filter-name").addEventListener("input", ({ target }) => target.value === "" && filter());
  return { refresh, refreshSoon, clear };
}

/** A card that is being edited is left alone, and one that has not changed need not be built again. */
function reusable(card, { updatedAt }) {
  return card && (card.dataset.mode !== "view" || card.dataset.updated === updatedAt) ? card : null;
}

function showEmpty(text) {
  byId("characters-empty-text").textContent = text;
  byId("characters-empty").hidden = false;
}
