// One user's session: a token, the live connection opened with it, and the jobs sent with it.

import { createJobs, QUEUES, SESSION_EXPIRED } from "./jobs.js";
import { Socket } from "./socket.js";

const PATIENCE_MS = 4_000;

/** Whose token it is, and until when it is valid, without verifying it: that is the service's job. */
export function readClaims(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return { user: claims.Id ?? claims.sub, expires: claims.exp };
  } catch {
    return {};
  }
}

/**
 * Connects, and then reports what happens until the session is closed.
 * `onEnter`: it is usable. `onReady`: outcomes arrive live. `onRefused`: the token was not accepted; the text says why.
 * `onNotice`: something the user should know. `onState`, `onOutcome`, `onCount`: from the socket and the jobs.
 */
export function openSession(token, user, { onEnter, onReady, onRefused, onNotice, onState, onOutcome, onCount }) {
  let open = true;
  let entered = false;
  // Late news of a closed session concerns nobody.
  const whileOpen = (handle) => (news) => open && handle(news);
  const jobs = createJobs({ token, onOutcome: whileOpen(receive), onCount: whileOpen(onCount) });
  let last = {};
  const auth = () => ({ token, ...last });
  const socket = new Socket({ auth, onState: whileOpen(follow), onRefused: whileOpen(refuse) });
  socket.on("Profile_Response", hear);
  socket.on("Profile_Logged", remember);
  socket.on("resync_required", whileOpen((place) => ((last = {}), remember(place), onReady())));
  socket.connect();
  // Without a live connection the page still works, by polling each job's status.
  setTimeout(whileOpen(enter), PATIENCE_MS);

  async function follow(state) {
    onState(state);
    if (state !== "connected") return;
    enter();
    await Promise.all(QUEUES.map(joinRoom));
    if (open) onReady();
  }

  function hear(outcome) {
    remember(outcome);
    jobs.hear(outcome);
  }

  /** Remembers what to send at the next handshake, so that nothing is missed in between. */
  function remember({ Seq, Epoch }) {
    // Outcomes replayed on joining a room may be older than the last one.
    if (Seq !== undefined && (Epoch !== last.epoch || Seq > last.lastSeq)) last = { lastSeq: Seq, epoch: Epoch };
  }

  function enter() {
    if (entered) return;
    entered = true;
    onEnter();
  }

  async function joinRoom(queue) {
    // No acknowledgement is not a refusal: the outcomes may come all the same, and otherwise the status is polled.
    const answer = await socket.request("joinRoom", `${user}_${queue}`).catch(() => null);
    if (answer?.ok === false) onNotice(`No live outcomes for ${queue}: ${sentence(answer.error)}`);
  }

  function refuse(reason) {
    if (entered) onNotice(`Your session has ended: ${sentence(reason)}`);
    else onRefused(`The service did not accept this token: ${sentence(reason)}`);
  }

  function receive(outcome) {
    onOutcome(outcome);
    if (outcome.Message === SESSION_EXPIRED) onNotice(SESSION_EXPIRED);
  }

  async function submit(queue, data) {
    try {
      return await jobs.submit(queue, data);
    } catch (problem) {
      if (open && problem.status === 401) onNotice(`${sentence(problem.text)} Sign in again to continue.`);
      throw problem;
    }
  }

  function close() {
    jobs.stop();
    socket.close();
    open = false;
  }

  return { submit, close };
}

function sentence(text) {
  return `${text}.`.replace(/\.+$/, ".");
}
