// Orders to the stage: one POST each. What becomes of an order is in the stream.

class Refused extends Error {
  // status is 0 where the stage did not answer.
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

// order sends one and returns the stage's answer. It fails with Refused, whose message is the problem's own.
export async function order(store, verb, body) {
  const headers = { "Content-Type": "application/json" };
  if (store.token()) headers.Authorization = `Bearer ${store.token()}`;
  let response;
  try {
    response = await fetch(new URL(`api/v1/${verb}`, document.baseURI), { method: "POST", headers, body: JSON.stringify(body) });
  } catch {
    throw new Refused(0, "the stage does not answer");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, answer.detail || answer.title || `status ${response.status}`);
  return answer;
}
