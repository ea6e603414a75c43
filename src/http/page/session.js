// One user's session: a token, the live connection that it opens, and the jobs that are sent with it.

import { createJobs, QUEUES, SESSION_EXPIRED } from "./jobs.js";
import { Socket } from "./socket.js";

const PATIENCE_MS = 4_000;

/** Whose a token is, and until when, without verifying it: that is the service's part. */
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
 * Connects, and from then on tells the listener what happens, until the session is closed.
 * `onEnter`: it is usable. `onReady`: outcomes are told live. `onRefused`: the token was not accepted, says its text.
 * `onNotice`: the user should know this. `onState`, `onOutcome`, `onCount`: as of the socket and the jobs.
 */
export function openSession(token, user, { onEnter, onReady, onRefused, onNotice, onState, onOutcome, onCount }) {
  let open = true;
  let entered = false;
  // What a session that was closed still has to tell concerns nobody.
  const whileOpen = (handle) => (news) => open && handle(news);
  const jobs = createJobs({ token, onOutcome: whileOpen(receive), onCount: whileOpen(onCount) });
  let last = {};
  const auth = () => ({ token, ...last });
  const socket = new Socket({ auth, onState: whileOpen(follow), onRefused: whileOpen(refuse) });
  socket.on("Profile_Response", hear);
  socket.on("Profile_Logged", remember);
  socket.on("resync_required", whileOpen((place) => ((last = {}), remember(place), onReady())));
  socket.connect();
  // Without a live connection the page still works, by asking for each job's status.
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

  /** What is shown at the next handshake, so that nothing is missed in between. */
  function remember({ Seq, Epoch }) {
    // What nobody had heard in a room may be from before.
    if (Seq !== undefined && (Epoch !== last.epoch || Seq > last.lastSeq)) last = { lastSeq: Seq, epoch: Epoch };
  }

  function enter() {
    if (entered) return;
    entered = true;
    onEnter();
  }

  async function joinRoom(queue) {
    // No acknowledgement is not a refusal: the outcomes may come all the same, and the status is asked otherwise.
    const answer = await socket.request("joinRoom", `${user}_${queue}`).catch(() => null);
    if (answer?.ok === false) onNotice(`Outcomes of ${queue} are not told live: ${sentence(answer.error)}`);
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
      if (open && problem.status === 401) onNotice(`${sentence(problem.text)} Sign in again to go on.`);
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
