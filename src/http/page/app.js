// The page: signs in, sends jobs over HTTP, and shows the user's characters and every outcome as it arrives.

import { Socket } from "./socket.js";

const CREATE = "Create_Character";
const READ = "Read_Character";
const UPDATE = "Update_Character";
const DELETE = "Delete_Character";
const KIND = { [CREATE]: "Create", [READ]: "Read", [UPDATE]: "Update", [DELETE]: "Delete" };
const QUEUE_OF_MESSAGE = {
  "Character created correctly": CREATE,
  "Character updated correctly": UPDATE,
  "Character successfully eliminated": DELETE,
};
const SESSION_EXPIRED = "Session expired. Please log in again.";
const NO_TOKENS = "This service hands out no tokens: sign in with one of your own.";

const TOKEN_KEY = "octavo.token";
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];
const FIRST_LOOK_MS = 3_000;
const LONGEST_LOOK_MS = 15_000;
const SIGN_IN_PATIENCE_MS = 4_000;
const OUTCOMES_KEPT = 50;

const PICTURE_BYTES = 5_000_000;
const PICTURE_PIXELS = 640;

const byId = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const clone = (templateId) => byId(templateId).content.firstElementChild.cloneNode(true);

let session = null;

// ── The service over HTTP ──────────────────────────────────────────────────────────────────────────────────────────

/** Why something was not done, in the words of problem+json. */
class Problem extends Error {
  constructor({ title = "Something went wrong", detail = "", status = 0, errors = [] }) {
    super(title);
    Object.assign(this, { title, detail, status, errors });
  }

  get text() {
    return this.detail ? `${this.title}: ${this.detail}` : this.title;
  }
}

async function request(path, { method = "GET", token, body } = {}) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) }).catch(() => {
    throw new Problem({ title: "The service cannot be reached", detail: "check that it is running, then try again." });
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw new Problem({ title: `The service answered ${response.status}`, ...answer, status: response.status });
}

/** Reads the claims of a token without verifying them: that is the service's part. */
function readClaims(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return { user: claims.Id ?? claims.sub, expires: claims.exp };
  } catch {
    return {};
  }
}

// ── Jobs and their outcomes ────────────────────────────────────────────────────────────────────────────────────────

function queueOf({ Message, Job }) {
  if (Job?.Queue) return Job.Queue;
  return Array.isArray(Message) ? READ : QUEUE_OF_MESSAGE[Message];
}

/** The outcome of a job by its status, or nothing while it is not over or cannot be asked. */
async function askStatus(id, token) {
  try {
    const { state, outcome } = await request(`/v1/jobs/${encodeURIComponent(id)}`, { token });
    if (state === "done" || state === "failed") return outcome ?? { Status: state === "done", Message: `Job ${state}` };
  } catch (problem) {
    if (problem.status === 401) return { Status: false, Message: SESSION_EXPIRED };
    if (problem.status === 404) return { Status: false, Message: "The service no longer knows this job" };
  }
}

/**
 * Sends jobs and finds the one that each outcome belongs to.
 * An outcome is taken from the socket or, when none came in time, from the job's status; it is told once.
 */
function createJobs({ token, onOutcome, onCount }) {
  let jobs = [];
  let stopped = false;
  const heard = new Set();

  async function submit(queue, data) {
    const job = { queue, id: null, sentAt: performance.now(), settled: false };
    job.outcome = new Promise((resolve) => (job.resolve = resolve));
    job.accepted = request("/v1/jobs", { method: "POST", token, body: { queue, data } });
    jobs.push(job);
    count();
    try {
      job.id = (await job.accepted).id;
    } catch (problem) {
      forget(job);
      throw problem;
    }
    look(job);
    return job.outcome;
  }

  async function hear(outcome) {
    const arrivedAt = performance.now();
    const job = await find(outcome);
    // A second node, or a second room, may tell the same outcome again.
    if (outcome.Job?.Id && heard.has(outcome.Job.Id)) return;
    if (outcome.Job?.Id) heard.add(outcome.Job.Id);
    if (!job) return onOutcome({ ...outcome, queue: queueOf(outcome) });
    settle(job, outcome, arrivedAt);
    forget(job);
  }

  async function find(outcome) {
    const id = outcome.Job?.Id;
    if (!id) return guess(outcome);
    const named = () => jobs.find((job) => job.id === id);
    // A fast worker is done before the answer to the POST has told us the id.
    if (!named()) await Promise.allSettled(jobs.map((job) => job.accepted));
    return named();
  }

  /** Without a job id, an outcome belongs to the oldest job that it could be about. */
  function guess(outcome) {
    const queue = queueOf(outcome);
    const open = (job) => !job.settled && (!queue || job.queue === queue);
    const told = (job) => job.settled && (queue ? job.queue === queue : job.message === outcome.Message);
    return jobs.find(open) ?? jobs.find(told);
  }

  function settle(job, outcome, arrivedAt = performance.now()) {
    if (job.settled) return;
    job.settled = true;
    job.message = outcome.Message;
    job.resolve(outcome);
    count();
    onOutcome({ ...outcome, queue: job.queue, took: arrivedAt - job.sentAt });
  }

  /** Asks for the job's status, ever less often, for as long as the socket has not told its outcome. */
  async function look(job) {
    for (let wait = FIRST_LOOK_MS; ; wait = Math.min(wait * 1.5, LONGEST_LOOK_MS)) {
      await sleep(wait);
      if (job.settled || stopped) return;
      const outcome = await askStatus(job.id, token);
      if (!outcome) continue;
      settle(job, outcome);
      // The socket may still tell it, late: the job stays known for a while so that this is not taken for another's.
      return setTimeout(() => forget(job), LONGEST_LOOK_MS);
    }
  }

  function forget(job) {
    jobs = jobs.filter((other) => other !== job);
    count();
  }

  function count() {
    onCount(jobs.filter((job) => !job.settled).length);
  }

  return { submit, hear, stop: () => (stopped = true) };
}

// ── Signing in and out ─────────────────────────────────────────────────────────────────────────────────────────────

function signIn(token) {
  const { user, expires } = readClaims(token);
  if (!user) return showWelcome("That is not a token: it has three parts with dots between, and begins with eyJ.");
  session?.close();
  const current = { token, user, expires, entered: false };
  // What a session that was left still has to tell concerns nobody.
  const whilePresent = (handle) => (news) => session === current && handle(news, current);
  current.jobs = createJobs({ token, onOutcome: whilePresent(receive), onCount: whilePresent(showUnderWay) });
  current.socket = new Socket({ auth: { token }, onState: whilePresent(follow), onRefused: whilePresent(refuse) });
  current.close = () => {
    current.jobs.stop();
    current.socket.close();
  };
  current.socket.on("Profile_Response", current.jobs.hear);
  session = current;
  markBusy(byId("welcome"), true);
  current.socket.connect();
  // Without a live connection the page still works, by asking for each job's status.
  setTimeout(() => enter(current), SIGN_IN_PATIENCE_MS);
}

async function follow(state, current) {
  showConnection(state);
  if (state !== "connected") return;
  enter(current);
  await joinRooms(current);
  if (session === current) refresh();
}

function joinRooms({ socket, user }) {
  const join = async (queue) => {
    // No acknowledgement is not a refusal: the outcomes may come all the same, and the status is asked otherwise.
    const answer = await socket.request("joinRoom", `${user}_${queue}`).catch(() => null);
    if (answer?.ok === false) showNotice(`Outcomes of ${queue} are not told live: ${sentence(answer.error)}`);
  };
  return Promise.all(Object.keys(KIND).map(join));
}

function refuse(reason, current) {
  if (current.entered) return showNotice(`Your session has ended: ${sentence(reason)}`);
  signOut(`The service did not accept this token: ${sentence(reason)}`);
}

function enter(current) {
  if (session !== current || current.entered) return;
  current.entered = true;
  sessionStorage.setItem(TOKEN_KEY, current.token);
  byId("token").value = "";
  byId("who").textContent = current.user;
  if (current.expires) byId("who").title = `Session until ${new Date(current.expires * 1000).toLocaleTimeString()}`;
  showWorkspace();
}

function signOut(message = "") {
  session?.close();
  session = null;
  sessionStorage.removeItem(TOKEN_KEY);
  showWelcome(message);
}

function showWelcome(message) {
  markBusy(byId("welcome"), false);
  byId("sign-in-status").textContent = message;
  showSignedIn(false);
}

function showWorkspace() {
  markBusy(byId("welcome"), false);
  byId("notice").hidden = true;
  byId("sign-in-status").textContent = "";
  byId("characters").replaceChildren();
  byId("outcomes").replaceChildren();
  byId("outcomes-empty").hidden = false;
  showEmptyShelf("Looking for your characters…");
  showSignedIn(true);
}

function showSignedIn(signedIn) {
  byId("welcome").hidden = signedIn;
  byId("workspace").hidden = !signedIn;
  byId("session").hidden = !signedIn;
}

function showConnection(state) {
  byId("connection").dataset.state = state;
  byId("connection").textContent = { connected: "Live", connecting: "Connecting", offline: "Offline" }[state];
}

function showNotice(text) {
  byId("notice-text").textContent = text;
  byId("notice").hidden = false;
}

async function tryIt() {
  const welcome = byId("welcome");
  markBusy(welcome, true);
  try {
    const { token } = await request("/v1/token", { method: "POST", body: { user: byId("user-name").value.trim() } });
    signIn(token);
  } catch (problem) {
    showWelcome(problem.status === 404 ? NO_TOKENS : problem.text);
  }
}

// ── What forms have in common ──────────────────────────────────────────────────────────────────────────────────────

/** Sends one job for a form or card and tells there how it went; true when it was done, or there was nothing to do. */
async function perform(scope, queue, gather) {
  if (scope.getAttribute("aria-busy") === "true") return false;
  clearProblem(scope);
  markBusy(scope, true);
  say(scope, "Under way…");
  try {
    const data = await gather();
    if (!data) return true;
    const { Message, Status } = await session.jobs.submit(queue, data);
    say(scope, Message, Status);
    return Status;
  } catch (problem) {
    showProblem(scope, problem);
    return false;
  } finally {
    markBusy(scope, false);
  }
}

function markBusy(scope, busy) {
  scope.setAttribute("aria-busy", String(busy));
}

function say(scope, text, good) {
  const status = scope.querySelector(".form-status");
  status.textContent = text;
  status.dataset.status = good ?? "";
}

function showProblem(scope, problem) {
  if (!(problem instanceof Problem)) throw problem;
  if (problem.status === 401) showNotice(`${sentence(problem.text)} Sign in again to go on.`);
  const elsewhere = problem.errors.filter((error) => !markField(scope, error));
  say(scope, [problem.text, ...elsewhere.map(({ field, message }) => `${field} ${message}.`)].join(" "), false);
  scope.querySelector("[aria-invalid]")?.focus();
}

/** Writes an error at its field; false when the form has no such field. */
function markField(scope, { field, message }) {
  const name = field.split(".").pop().replace("Image_Real", "Image");
  const slot = scope.querySelector(`[data-error-for="${CSS.escape(name)}"]`);
  if (!slot) return false;
  slot.textContent = `${name === "Image" ? "Picture" : name} ${message}`;
  const input = slot.parentElement.querySelector("input, textarea");
  input.setAttribute("aria-invalid", "true");
  slot.setAttribute("role", "alert");
  return true;
}

/** What is being put right is no longer marked as wrong. */
function clearFieldOf({ target }) {
  target.removeAttribute("aria-invalid");
  const slot = target.closest(".field")?.querySelector("[data-error-for]");
  if (slot) slot.textContent = "";
  const status = target.form?.querySelector(".form-status");
  if (status) status.textContent = "";
}

function clearProblem(scope) {
  for (const slot of scope.querySelectorAll("[data-error-for]")) slot.textContent = "";
  for (const input of scope.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

// ── Pictures ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Wires a picture field; `read` gives what was chosen as `{Image, Image_Real}`, nothing, or a Problem. */
function createPictureField(root) {
  const input = root.querySelector("input");
  const clearButton = root.querySelector("[data-picture-clear]");
  let chosen = Promise.resolve(null);

  async function choose(file) {
    clearProblem(root);
    show(null);
    const mine = (chosen = file ? preparePicture(file) : Promise.resolve(null));
    try {
      const picture = await mine;
      if (chosen === mine) show(picture);
    } catch (problem) {
      if (chosen === mine) problem.errors.forEach((error) => markField(root, error));
    }
    clearButton.hidden = !file;
  }

  function show(picture) {
    showPicture(root.querySelector("img"), picture?.Image);
    root.querySelector("[data-picture-note]").textContent = picture?.note ?? "";
  }

  function clear() {
    input.value = "";
    return choose(null);
  }

  input.addEventListener("change", () => choose(input.files[0]));
  clearButton.addEventListener("click", clear);

  async function read() {
    const picture = await chosen;
    return picture && { Image: picture.Image, Image_Real: picture.Image_Real };
  }
  return { read, clear };
}

/** Keeps the file as it is, and beside it a version that is small enough for a card. */
async function preparePicture(file) {
  if (file.size > PICTURE_BYTES) throw pictureProblem(`is too large: ${formatBytes(file.size)}, where 5 MB is the most`);
  const original = await readDataUrl(file);
  const image = await loadImage(original);
  const scaled = scaleDown(image, file.type);
  const size = `${formatBytes(file.size)}, ${image.naturalWidth} × ${image.naturalHeight}`;
  const note = scaled ? `${size}. Shown at ${formatBytes(scaled.length * 0.75)}; the original is kept.` : `${size}.`;
  return { Image: scaled ?? original, Image_Real: original, note };
}

function pictureProblem(message) {
  return new Problem({ title: "The picture cannot be used", errors: [{ field: "Image", message }] });
}

function readDataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(pictureProblem("could not be read from this device"));
    reader.readAsDataURL(file);
  });
}

async function loadImage(url) {
  const image = new Image();
  if (isPicture(url)) image.src = url;
  await image.decode().catch(() => {
    throw pictureProblem("is in no format that this browser can show: try JPEG, PNG or WebP");
  });
  return image;
}

/** A data URL of at most 640 px a side, or nothing when the picture is that small already. */
function scaleDown(image, type) {
  const factor = PICTURE_PIXELS / Math.max(image.naturalWidth, image.naturalHeight);
  if (!(factor < 1)) return null;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.naturalWidth * factor));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * factor));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  // WebP keeps what is transparent; a browser that cannot write it makes a PNG.
  return canvas.toDataURL(type === "image/jpeg" ? type : "image/webp", 0.85);
}

/** The service wants a picture with every character: without one, the initial is drawn in a frame. */
function drawInitial(name) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 320;
  const context = canvas.getContext("2d");
  const hue = 40 + 60 * ([...name].reduce((sum, character) => sum + character.codePointAt(0), 0) % 5);
  context.fillStyle = `hsl(${hue} 22% 82%)`;
  context.fillRect(0, 0, 320, 320);
  context.fillStyle = context.strokeStyle = `hsl(${hue} 38% 24%)`;
  for (const margin of [54.5, 60.5]) context.strokeRect(margin, margin, 320 - 2 * margin, 320 - 2 * margin);
  Object.assign(context, { font: "120px Palatino, Georgia, serif", textAlign: "center", textBaseline: "middle" });
  context.fillText(initialOf(name), 160, 168);
  const url = canvas.toDataURL();
  return { Image: url, Image_Real: url };
}

const isPicture = (text) => typeof text === "string" && text.startsWith("data:image/");
const initialOf = (name) => [...name.trim()][0]?.toUpperCase() ?? "?";

function showPicture(img, url) {
  img.hidden = !isPicture(url);
  if (img.hidden) img.removeAttribute("src");
  else img.src = url;
}

// ── Characters ─────────────────────────────────────────────────────────────────────────────────────────────────────

function createCharacterForm() {
  const form = byId("create-form");
  const picture = createPictureField(form.querySelector("[data-picture]"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { Name, Description } = Object.fromEntries(new FormData(form));
    const gather = async () => ({ Name, Description, ...((await picture.read()) ?? drawInitial(Name)) });
    if (!(await perform(form, CREATE, gather))) return;
    form.reset();
    picture.clear();
  });
}

let filterName = "";
let latestRead = 0;
let refreshTimer;

function filter() {
  filterName = byId("filter-name").value.trim();
  return refresh();
}

/** Reads the newest three again; of several answers only that to the latest question is shown. */
async function refresh() {
  const turn = ++latestRead;
  const shelf = byId("shelf-head");
  const name = filterName;
  try {
    const { Message, Status } = await session.jobs.submit(READ, { Filter: name ? { Name: name } : {} });
    if (turn !== latestRead) return;
    say(shelf, Status ? "" : Message, Status);
    if (Status) showCharacters(Message, name);
  } catch (problem) {
    if (turn === latestRead) showProblem(shelf, problem);
  }
}

/** Several outcomes at once, as after a reconnect, are followed by one read. */
function refreshSoon() {
  clearTimeout(refreshTimer);
  refreshTimer = setTimeout(() => session && refresh(), 50);
}

function showCharacters(characters, name) {
  const list = byId("characters");
  const present = new Map([...list.children].map((card) => [card.dataset.id, card]));
  const focused = document.activeElement;
  const focusedId = list.contains(focused) && focused.closest(".card").dataset.id;
  const cardOf = (character) => reusable(present.get(character._id), character) ?? buildCard(character);
  list.replaceChildren(...characters.map(cardOf));
  // Moving or rebuilding a card must not cost a keyboard user the place.
  if (list.contains(focused)) focused.focus();
  else if (focusedId) list.querySelector(`[data-id="${focusedId}"] [data-action=edit]`)?.focus();
  byId("shelf-title").textContent = name ? `Named “${name}”` : "Newest three";
  if (characters.length > 0) byId("characters-empty").hidden = true;
  else if (name) showEmptyShelf(`No character of yours is named exactly “${name}”. Clear the name to see the newest.`);
  else showEmptyShelf("No characters yet. Write your first one, and it will stand here.");
}

/** A card that is being edited is left alone, and one that has not changed need not be built again. */
function reusable(card, { updatedAt }) {
  return card && (card.dataset.mode !== "view" || card.dataset.updated === updatedAt) ? card : null;
}

function showEmptyShelf(text) {
  byId("characters-empty-text").textContent = text;
  byId("characters-empty").hidden = false;
}

function buildCard(character) {
  const card = clone("card-template");
  card.dataset.id = character._id;
  card.dataset.updated = character.updatedAt;
  fill(card, "name", character.Name);
  fill(card, "description", character.Description);
  fill(card, "created", formatDate(character.createdAt));
  card.querySelector("[data-slot=created]").dateTime = character.createdAt;
  card.querySelector(".initial").textContent = initialOf(character.Name);
  showPicture(card.querySelector(".portrait img"), character.Image);
  card.querySelector(".portrait img").alt = `Portrait of ${character.Name}`;
  for (const button of card.querySelectorAll("[data-action=edit], [data-action=delete]")) {
    button.setAttribute("aria-label", `${button.textContent} ${character.Name}`);
  }
  wireCard(card, character);
  return card;
}

function wireCard(card, character) {
  const form = card.querySelector("form");
  const picture = createPictureField(form.querySelector("[data-picture]"));
  const actions = {
    edit: () => openEditor(card, form, character, picture),
    delete: () => setMode(card, "confirm", "[data-action=cancel]"),
    cancel: () => setMode(card, "view", "[data-action=edit]"),
    "confirm-delete": () => remove(card, character),
  };
  card.addEventListener("click", ({ target }) => actions[target.closest("[data-action]")?.dataset.action]?.());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save(card, form, character, picture);
  });
}

function setMode(card, mode, focus) {
  card.dataset.mode = mode;
  clearProblem(card);
  say(card, "");
  card.querySelector(`[data-part=${mode}] ${focus}`)?.focus();
}

function openEditor(card, form, { Name, Description }, picture) {
  Object.assign(form.elements.Name, { value: Name });
  Object.assign(form.elements.Description, { value: Description });
  picture.clear();
  setMode(card, "edit", "[name=Name]");
}

async function save(card, form, character, picture) {
  const gather = async () => {
    const written = Object.entries(Object.fromEntries(new FormData(form)));
    const rewritten = written.filter(([field, value]) => value !== character[field]);
    const changes = { ...Object.fromEntries(rewritten), ...(await picture.read()) };
    return Object.keys(changes).length > 0 && { Id_Character: character._id, ...changes };
  };
  const done = await perform(card, UPDATE, gather);
  if (done) setMode(card, "view", "[data-action=edit]");
}

async function remove(card, { _id }) {
  if (!(await perform(card, DELETE, () => ({ Id_Character: _id })))) return;
  card.remove();
  byId("refresh").focus();
}

// ── Outcomes ───────────────────────────────────────────────────────────────────────────────────────────────────────

function receive(outcome) {
  const list = byId("outcomes");
  list.prepend(buildOutcome(outcome));
  while (list.children.length > OUTCOMES_KEPT) list.lastElementChild.remove();
  byId("outcomes-empty").hidden = true;
  if (outcome.Message === SESSION_EXPIRED) showNotice(SESSION_EXPIRED);
  if (outcome.Status && outcome.queue !== READ) refreshSoon();
}

function buildOutcome({ queue, Message, Status, took }) {
  const item = clone("outcome-template");
  item.dataset.status = Boolean(Status);
  if (queue) item.dataset.queue = queue;
  fill(item, "time", new Date().toLocaleTimeString([], { hour12: false }));
  fill(item, "kind", KIND[queue] ?? queue ?? "Job");
  fill(item, "message", describe(Message));
  fill(item, "took", took === undefined ? "" : formatDuration(took));
  return item;
}

function describe(message) {
  if (!Array.isArray(message)) return String(message);
  if (message.length === 0) return "No characters";
  const names = message.map(({ Name }) => Name).join(", ");
  return `${message.length} ${message.length === 1 ? "character" : "characters"}: ${names}`;
}

function showUnderWay(count) {
  byId("under-way").textContent = count === 0 ? "" : `${count} under way`;
}

// ── Words and numbers ──────────────────────────────────────────────────────────────────────────────────────────────

function fill(root, slot, text) {
  for (const element of root.querySelectorAll(`[data-slot=${slot}]`)) element.textContent = text;
}

function sentence(text) {
  return `${text}.`.replace(/\.+$/, ".");
}

function formatBytes(bytes) {
  return bytes < 1_000_000 ? `${Math.max(1, Math.round(bytes / 1000))} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function formatDuration(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function formatDate(text) {
  return new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

// ── Start ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function onSubmit(id, action) {
  byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    action();
  });
}

async function showService() {
  const health = await fetch("/health").then((response) => response.json()).catch(() => ({}));
  byId("version").textContent = health.version ?? "";
  byId("try-form").hidden = health.mode !== "embedded" || !LOOPBACK.includes(location.hostname);
}

onSubmit("try-form", tryIt);
onSubmit("sign-in-form", () => signIn(byId("token").value.trim()));
onSubmit("filter-form", filter);
byId("filter-name").addEventListener("input", ({ target }) => target.value === "" && filter());
byId("sign-out").addEventListener("click", () => signOut());
byId("sign-in-again").addEventListener("click", () => signOut("Sign in to go on."));
byId("workspace").addEventListener("input", clearFieldOf);
createCharacterForm();
showService();

const kept = sessionStorage.getItem(TOKEN_KEY);
if (kept) signIn(kept);
else showWelcome("");
