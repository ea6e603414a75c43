// The welcome: signing in with one click, where the service hands out tokens, or with your own token.

import { byId, markBusy, onSubmit } from "./dom.js";
import { request } from "./service.js";

const NO_TOKENS = "This service does not hand out tokens: sign in with one of your own.";

/** Wires both forms; `signIn` gets the token. */
export function createWelcome(signIn) {
  async function tryIt() {
    wait();
    try {
      const body = { user: byId("user-name").value.trim() };
      const { token } = await request("/v1/token", { method: "POST", body });
      signIn(token);
    } catch (problem) {
      say(problem.status === 404 ? NO_TOKENS : problem.text);
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
