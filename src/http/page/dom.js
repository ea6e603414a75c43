// What every part of the page does with the document: finding, cloning and filling elements, and handling submits.

export const byId = (id) => document.getElementById(id);

export const clone = (templateId) => byId(templateId).content.firstElementChild.cloneNode(true);

/** What the service has written into the page's head under this name. */
export const meta = (name) => document.head.querySelector(`meta[name=${name}]`).content;

/** Writes a text into every slot with this name. */
export function fill(root, slot, text) {
  for (const element of root.querySelectorAll(`[data-slot=${slot}]`)) element.textContent = text;
}

export function markBusy(element, busy) {
  element.setAttribute("aria-busy", String(busy));
}

export function onSubmit(form, action) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    action();
  });
}
