// What forms and cards have in common: sending a job, showing how it went, and marking the fields that are wrong.

import { markBusy } from "./dom.js";
import { Problem } from "./service.js";

/**
 * Shows in a form or card how sending a job goes; true when the job succeeded, or there was nothing to do.
 * `send` resolves to the outcome, or to nothing.
 */
export async function perform(scope, send) {
  if (scope.getAttribute("aria-busy") === "true") return false;
  clearProblem(scope);
  markBusy(scope, true);
  say(scope, "Working…");
  try {
    const outcome = await send();
    if (!outcome) return true;
    say(scope, outcome.Message, outcome.Status);
    return outcome.Status;
  } catch (problem) {
    showProblem(scope, problem);
    return false;
  } finally {
    markBusy(scope, false);
  }
}

export function say(scope, text, good) {
  const status = scope.querySelector(".form-status");
  status.textContent = text;
  status.dataset.status = good ?? "";
}

export function showProblem(scope, problem) {
  if (!(problem instanceof Problem)) throw problem;
  const elsewhere = problem.errors.filter((error) => !markField(scope, error));
  const rest = elsewhere.map(({ field, message }) => `${field} ${message}.`).join(" ");
  // What is shown at its field is not repeated.
  say(scope, problem.errors.length ? rest || "Not sent: please correct the marked fields." : problem.text, false);
  scope.querySelector("[aria-invalid]")?.focus();
}

/** Shows an error at its field; false when the form has no such field. */
export function markField(scope, { field, message }) {
  const name = field.split(".").pop().replace("Image_Real", "Image");
  const slot = scope.querySelector(`[data-error-for="${CSS.escape(name)}"]`);
  if (!slot) return false;
  slot.textContent = `${name === "Image" ? "Picture" : name} ${message}`;
  slot.setAttribute("role", "alert");
  slot.parentElement.querySelector("input, textarea").setAttribute("aria-invalid", "true");
  return true;
}

/** Removes the error mark from a field that is being corrected. */
export function clearFieldOf({ target }) {
  target.removeAttribute("aria-invalid");
  const slot = target.closest(".field")?.querySelector("[data-error-for]");
  if (slot) slot.textContent = "";
  const status = target.form?.querySelector(".form-status");
  if (status) status.textContent = "";
}

export function clearProblem(scope) {
  for (const slot of scope.querySelectorAll("[data-error-for]")) slot.textContent = "";
  for (const input of scope.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}
