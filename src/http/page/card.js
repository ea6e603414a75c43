// One character's card: shown, edited in place, or deleted after a confirmation.

import { byId, clone, fill, onSubmit } from "./dom.js";
import { clearProblem, perform, say } from "./forms.js";
import { DELETE, UPDATE } from "./jobs.js";
import { createPictureField, initialOf, showPicture } from "./pictures.js";

export function createCard(character, submit) {
  const card = clone("card-template");
  const form = card.querySelector("form");
  const picture = createPictureField(form.querySelector("[data-picture]"));

  function setMode(mode, focus) {
    card.dataset.mode = mode;
    clearProblem(card);
    say(card, "");
    card.querySelector(`[data-part=${mode}] ${focus}`)?.focus();
  }

  function edit() {
    form.elements.Name.value = character.Name;
    form.elements.Description.value = character.Description;
    picture.clear();
    setMode("edit", "[name=Name]");
  }

  const showAgain = () => setMode("view", "[data-action=edit]");

  async function save() {
    const done = await perform(card, async () => {
      const written = Object.entries(Object.fromEntries(new FormData(form)));
      const rewritten = written.filter(([field, value]) => value !== character[field]);
      const changes = { ...Object.fromEntries(rewritten), ...(await picture.read()) };
      if (Object.keys(changes).length > 0) return submit(UPDATE, { Id_Character: character._id, ...changes });
    });
    if (done) showAgain();
  }

  async function remove() {
    if (!(await perform(card, () => submit(DELETE, { Id_Character: character._id })))) return;
    card.remove();
    byId("refresh").focus();
  }

  const actions = {
    edit,
    delete: () => setMode("confirm", "[data-action=cancel]"),
    cancel: showAgain,
    "confirm-delete": remove,
  };
  card.addEventListener("click", ({ target }) => actions[target.closest("[data-action]")?.dataset.action]?.());
  onSubmit(form, save);
  show(card, character);
  return card;
}

function show(card, { _id, Name, Description, Image, createdAt, updatedAt }) {
  card.dataset.id = _id;
  card.dataset.updated = updatedAt;
  fill(card, "name", Name);
  fill(card, "description", Description);
  fill(card, "created", new Date(createdAt).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }));
  card.querySelector("[data-slot=created]").dateTime = createdAt;
  card.querySelector(".initial").textContent = initialOf(Name);
  const portrait = card.querySelector(".portrait img");
  portrait.alt = `Portrait of ${Name}`;
  showPicture(portrait, Image);
  for (const button of card.querySelectorAll("[data-action=edit], [data-action=delete]")) {
    button.setAttribute("aria-label", `${button.textContent} ${Name}`);
  }
}
