// Jobs: sends them over HTTP and finds the outcome of each, pushed live or polled.

import { request } from "./service.js";

export const CREATE = "Create_Character";
export const READ = "Read_Character";
export const UPDATE = "Update_Character";
export const DELETE = "Delete_Character";
export const QUEUES = [CREATE, READ, UPDATE, DELETE];
export const SESSION_EXPIRED = "Session expired. Please log in again.";

const FIRST_LOOK_MS = 3_000;
const LONGEST_LOOK_MS = 15_000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Sends jobs and finds the one that each outcome belongs to.
 * An outcome comes from the socket or, when none arrived in time, from the job's status; it is reported once.
 */
export function createJobs({ token, onOutcome, onCount }) {
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
    // Sibling services send messages that belong to no job.
    if (!outcome.Job) return onOutcome(outcome);
    const job = await find(outcome.Job.Id);
    // After a connection was lost, or with several nodes, the same outcome may arrive again.
    if (heard.has(outcome.Job.Id)) return;
    heard.add(outcome.Job.Id);
    if (!job) return onOutcome({ ...outcome, queue: outcome.Job.Queue });
    settle(job, outcome, arrivedAt);
    forget(job);
  }

  async function find(id) {
    const named = () => jobs.find((job) => job.id === id);
    // A fast worker may be done before the answer to the POST has told us the id.
    if (!named()) await Promise.allSettled(jobs.map((job) => job.accepted));
    return named();
  }

  function settle(job, outcome, arrivedAt = performance.now()) {
    if (job.settled) return;
    job.settled = true;
    job.resolve(outcome);
    count();
    onOutcome({ ...outcome, queue: job.queue, took: arrivedAt - job.sentAt });
  }

  /** Polls the job's status, ever less often, until its outcome is known. */
  async function look(job) {
    for (let wait = FIRST_LOOK_MS; ; wait = Math.min(wait * 1.5, LONGEST_LOOK_MS)) {
      await sleep(wait);
      if (job.settled || stopped) return;
      const outcome = await askStatus(job.id, token);
      if (!outcome) continue;
      settle(job, outcome);
      // The socket may still bring it, late: the job is remembered for a while so that this is not taken for another's.
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

  /** Ends the wait for every outcome that is still to come. */
  function stop() {
    stopped = true;
    for (const job of jobs) job.resolve({ Status: false, Message: "Signed out before the outcome arrived" });
  }

  return { submit, hear, stop };
}

/** A job's outcome according to its status, or nothing while it is not over or its status is unavailable. */
async function askStatus(id, token) {
  try {
    const { state, outcome } = await request(`/v1/jobs/${encodeURIComponent(id)}`, { token });
    if (state === "done" || state === "failed") return outcome ?? { Status: state === "done", Message: `Job ${state}` };
  } catch (problem) {
    if (problem.status === 401) return { Status: false, Message: SESSION_EXPIRED };
    if (problem.status === 404) return { Status: false, Message: "The service no longer knows this job" };
  }
}
