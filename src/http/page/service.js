// The service over HTTP: JSON in, JSON out, and errors as a Problem.

/** Why something was not done, with the fields of problem+json. */
export class Problem extends Error {
  constructor({ title = "Something went wrong", detail = "", status = 0, errors = [] }) {
    super(title);
    Object.assign(this, { title, detail, status, errors });
  }

  get text() {
    return this.detail ? `${this.title}: ${this.detail}` : this.title;
  }
}

export async function request(path, { method = "GET", token, body, headers = {} } = {}) {
  if (body) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) }).catch(() => {
    throw new Problem({ title: "The service cannot be reached", detail: "check that it is running, then try again." });
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw new Problem({ title: `The service answered ${response.status}`, ...answer, status: response.status });
}
