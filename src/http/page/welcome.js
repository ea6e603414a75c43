// The welcome: signing in with one click, where the service hands out tokens, or with your own token.

import { byId, markBusy, meta, onSubmit } from "./dom.js";
import { request } from "./service.js";

/** Wires both forms; `signIn` gets the token. */
export function createWelcome(signIn) {
  async function tryIt() {
    wait();
    try {
      const body = { user: byId("user-name").value.trim() };
      const { token } = await request("/v1/token", { method: "POST", body, headers: { "x-octavo-page": meta("octavo-page") } });
      signIn(token);
    } catch (problem) {
      say(problem.text);
    }
  }

  /** Disables the buttons while a sign-in is under way. */
  function wait() {
    markBusy(byId("welcome"), true);
  }

  function say(message) {
    markBusy(byId("welcome"), false);
    byId("sign-in-status").textContent = message;
  }

  function clear() {
    byId("token").value = "";
    say("");
  }

  onSubmit(byId("try-form"), tryIt);
  onSubmit(byId("sign-in-form"), () => signIn(byId("token").value.trim()));
  return { wait, say, clear };
}
