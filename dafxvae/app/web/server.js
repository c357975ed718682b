// The app's own server: requests and the sentences with which they fail.

let session = "";

/** Asks for something of this session; an Error carries the sentence of the server. */
export async function ask(path, { method = "GET", json, body } = {}) {
  const options = { method: json || body ? "POST" : method, body: json ? JSON.stringify(json) : body };
  let answer;
  try {
    answer = await fetch(`/api/${session}${path}`, options);
  } catch {
    throw new Error("The app does not answer: look whether it still runs.");
  }
  const found = await answer.json().catch(() => ({ error: `The app answered ${answer.status}.` }));
  if (!answer.ok) throw new Error(found.error);
  return found;
}

/** Begins a session: { controllers, max_upload }. */
export async function begin() {
  const found = await ask("start", { method: "POST" });
  session = `${found.id}/`;
  addEventListener("pagehide", (event) => event.persisted || navigator.sendBeacon(`/api/${session}end`));
  return found;
}

/** Where a file of the last export is. */
export const fileAddress = (name) => `/api/${session}files/${encodeURIComponent(name)}`;

/** Waits for the end of the session's job; `tell` is given { stage, share } until then. */
export async function finish(tell) {
  for (;;) {
    const job = await ask("job");
    tell(job);
    if (job.error) throw new Error(job.error);
    if (job.done) return job;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}
