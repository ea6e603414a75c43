// The form that creates a character.

import { byId, onSubmit } from "./dom.js";
import { perform } from "./forms.js";
import { CREATE } from "./jobs.js";
import { createPictureField, drawInitial } from "./pictures.js";

export function wireCreateForm(submit) {
  const form = byId("create-form");
  const picture = createPictureField(form.querySelector("[data-picture]"));
  onSubmit(form, async () => {
    const { Name, Description } = Object.fromEntries(new FormData(form));
    const send = async () => submit(CREATE, { Name, Description, ...((await picture.read()) ?? drawInitial(Name)) });
    if (!(await perform(form, send))) return;
    form.reset();
    picture.clear();
  });
}
