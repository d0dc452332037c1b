// A twin in the making: asked for, followed by its events, given up.
import { Problem, UNREACHABLE } from "./problem.js";

/**
 * Send a request for a twin. Returns {identity, ready}: its id, and whether the store had it. Throws Problem.
 */
export async function order(url, request) {
  const headers = { ...request.headers, Accept: "application/json", Prefer: "respond-async" };
  const body = await json(url, { ...request, method: "POST", headers });
  return body.status === "building" ? { identity: body.id, ready: false } : { identity: body.twin_id, ready: true };
}

/** Stop building a twin. Throws Problem. */
export async function giveUp(identity) {
  await send(address(identity), { method: "DELETE" });
}

/** The page of a twin. */
export function address(identity) {
  return `/dt/${encodeURIComponent(identity)}`;
}

/** The twin, or the status of its build; where the store does not answer, asked for again. Throws Problem. */
export async function read(identity) {
  for (let wait = 1; ; wait++) {
    try {
      return await json(`${address(identity)}?format=json`, {});
    } catch (problem) {
      if (problem.code !== "storage_unavailable" || wait > 3) throw problem;
      await new Promise((resume) => setTimeout(resume, wait * 1000)); // the gateway leaves such a store alone for 5 s
    }
  }
}

/**
 * Call `on.stage`, `on.object`, then `on.result` or `on.problem` with what happens to a twin. The browser comes back
 * by itself when the connection breaks. Returns a function that stops listening.
 */
export function follow(identity, on) {
  const events = new EventSource(`${address(identity)}/events`);
  const hear = (name, act) => events.addEventListener(name, (event) => act(JSON.parse(event.data)));
  const stop = () => events.close();
  hear("stage", on.stage);
  hear("object", on.object);
  hear("result", () => (stop(), on.result()));
  hear("problem", (body) => (stop(), on.problem(new Problem(body))));
  events.addEventListener("error", async () => {
    if (events.readyState !== EventSource.CLOSED) return; // it is coming back
    try {
      const standing = await read(identity);
      if (standing.status === "ready") on.result();
      else throw new Problem(standing.problem ?? UNREACHABLE);
    } catch (problem) {
      on.problem(problem);
    }
  });
  return stop;
}

async function json(url, request) {
  return (await send(url, request)).json();
}

async function send(url, request) {
  let response;
  try {
    response = await fetch(url, request);
  } catch {
    throw new Problem(UNREACHABLE);
  }
  if (response.ok) return response;
  throw new Problem(await response.json().catch(() => UNREACHABLE)); // a proxy answers for a gateway that is down
}
