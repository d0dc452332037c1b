// What the page asks its server, and what it keeps in the browser until that has it.

export class Refused extends Error {
  /** `faults`: what is wrong with a path, each {message, step, index}; empty where it was something else. */
  constructor(message, faults = []) {
    super(message);
    this.faults = faults;
  }
}

/** The JSON at `url`; `body` is put there. Throws Refused. */
export async function ask(url, body) {
  const request = body && { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(url, request);
  } catch {
    throw new Refused("The server does not answer. What you wrote stays in this browser; start the command again.");
  }
  const said = await response.json().catch(() => ({ detail: `the server answered ${response.status}` }));
  if (response.ok) return said;
  throw new Refused(typeof said.detail === "string" ? said.detail : "This cannot be saved.", said.faults);
}

/** Edits that are not saved yet, by sample: they outlast a reload and a crash. */
export class Edits {
  constructor(file) {
    this.file = file;
  }

  get(id) {
    return JSON.parse(localStorage.getItem(this.#key(id)));
  }

  /** null forgets them. */
  set(id, path) {
    if (path) localStorage.setItem(this.#key(id), JSON.stringify(path));
    else localStorage.removeItem(this.#key(id));
  }

  #key(id) {
    return `edits ${this.file} ${id}`;
  }
}
