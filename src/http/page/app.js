// The page: who is signed in, and which part of it receives what.

import { wireCreateForm } from "./create.js";
import { byId, meta } from "./dom.js";
import { clearFieldOf } from "./forms.js";
import { READ } from "./jobs.js";
import { clearOutcomes, showOutcome, showUnderWay } from "./outcomes.js";
import { openSession, readClaims } from "./session.js";
import { createShelf } from "./shelf.js";
import { createWelcome } from "./welcome.js";

const TOKEN_KEY = "octavo.token";
const STATES = { connected: "Live", connecting: "Connecting", offline: "Offline" };

let session = null;
const submit = (queue, data) => session.submit(queue, data);
const welcome = createWelcome(signIn);
const shelf = createShelf(submit);

function signIn(token) {
  const { user, expires } = readClaims(token);
  if (!user) return showWelcome("That is not a token: a token starts with eyJ, and has three parts separated by dots.");
  leave();
  welcome.wait();
  session = openSession(token, user, {
    onEnter: () => enter(token, user, expires),
    onReady: shelf.refresh,
    onRefused: signOut,
    onNotice: showNotice,
    onState: showConnection,
    onOutcome: receive,
    onCount: showUnderWay,
  });
}

function enter(token, user, expires) {
  sessionStorage.setItem(TOKEN_KEY, token);
  byId("who").textContent = user;
  byId("who").title = expires ? `Session until ${new Date(expires * 1000).toLocaleTimeString()}` : "";
  welcome.clear();
  showSignedIn(true);
}

function receive(outcome) {
  showOutcome(outcome);
  if (outcome.Status && outcome.queue !== READ) shelf.refreshSoon();
}

function signOut(message) {
  leave();
  sessionStorage.removeItem(TOKEN_KEY);
  showWelcome(message);
}

/** Leaves nothing of a session for the next one to see. */
function leave() {
  session?.close();
  session = null;
  shelf.clear();
  clearOutcomes();
  byId("notice").hidden = true;
}

function showWelcome(message) {
  welcome.say(message);
  showSignedIn(false);
}

function showSignedIn(signedIn) {
  byId("welcome").hidden = signedIn;
  byId("workspace").hidden = !signedIn;
  byId("session").hidden = !signedIn;
}

function showConnection(state) {
  byId("connection").dataset.state = state;
  byId("connection").textContent = STATES[state];
}

function showNotice(text) {
  byId("notice-text").textContent = text;
  byId("notice").hidden = false;
}

/** Signing in with one click is for the page that was given a proof, which no proxy is. */
function showService() {
  byId("version").textContent = meta("octavo-version");
  byId("try-form").hidden = meta("octavo-page") === "";
}

byId("sign-out").addEventListener("click", () => signOut(""));
byId("sign-in-again").addEventListener("click", () => signOut("Sign in to continue."));
byId("workspace").addEventListener("input", clearFieldOf);
wireCreateForm(submit);
showService();

const kept = sessionStorage.getItem(TOKEN_KEY);
if (kept) signIn(kept);
else showWelcome("");
