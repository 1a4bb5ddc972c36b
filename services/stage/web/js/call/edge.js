// The edge speaks smaran's HTTP API for one session, and echoes the stateful session that it is given. It decides nothing.

import { readEvents } from "./events.js";
import { iceServers } from "./link.js";
import { code, header, path, type } from "./wire.js";

// Failure is a request that got no good reply. Its code is the problem's, or says what else went wrong.
export class Failure extends Error {
  constructor(code, detail, status = 0) {
    super(detail);
    this.code = code;
    this.status = status;
  }
}

export const ownerMoved = (error) => error instanceof Failure && error.code === code.ownerMoved;

async function failed(response) {
  const problem = response.headers.get("Content-Type")?.startsWith(type.problem) ? await response.json().catch(() => ({})) : {};
  return new Failure(problem.code ?? `status_${response.status}`, problem.detail ?? response.statusText, response.status);
}

async function send(url, want, init) {
  let response;
  try {
    response = await fetch(url, { cache: "no-store", ...init });
  } catch (error) {
    init.signal?.throwIfAborted();
    throw new Failure("transport", `the stage does not answer: ${error.message}`);
  }
  if (response.status !== want) throw await failed(response);
  return response;
}

// mintSession has smaran make a session's id.
export async function mintSession(base, signal) {
  const response = await send(base + path.sessions, 201, { method: "POST", signal });
  return (await response.json()).session;
}

export class Edge {
  #base;
  #token = "";

  // base is the URL of the lane's smaran, without a slash at its end.
  constructor(base, session) {
    this.#base = base;
    this.session = session;
    this.shown = session; // the name by which the stage shows it
  }

  async #send(want, method, path, { headers = {}, ...rest } = {}) {
    const own = { [header.session]: this.session, ...headers };
    if (this.#token) own[header.stateful] = this.#token;
    const response = await send(this.#base + path, want, { method, headers: own, ...rest });
    this.#token = response.headers.get(header.stateful) ?? this.#token;
    this.shown = response.headers.get(header.stageSession) ?? this.shown;
    return response;
  }

  // offer is WHIP's POST (RFC 9725 section 4.2), with headers of its own, such as the lost pod's.
  async offer(sdp, extra, signal) {
    const r = await this.#send(201, "POST", path.calls, { headers: { "Content-Type": type.sdp, ...extra }, body: sdp, signal });
    const location = r.headers.get("Location");
    if (!location) throw new Failure("bad_reply", "a 201 without Location");
    return {
      sdp: await r.text(), resource: new URL(location, this.#base).pathname, etag: r.headers.get("ETag") ?? "",
      pod: r.headers.get(header.pod) ?? "", backend: r.headers.get(header.backend) ?? "",
    };
  }

  // trickle is WHIP's PATCH (section 4.3.2).
  async trickle(offered, fragment, signal) {
    const headers = { "Content-Type": type.sdpFragment };
    if (offered.etag) headers["If-Match"] = offered.etag;
    await this.#send(204, "PATCH", offered.resource, { headers, body: fragment, signal });
  }

  // hangUp is WHIP's DELETE. It is sent also while the page goes away.
  async hangUp(offered, signal) {
    await this.#send(200, "DELETE", offered.resource, { keepalive: true, signal });
  }

  // infer asks a question, and says how it was answered besides.
  async infer(question, signal) {
    const r = await this.#send(200, "POST", path.inference, {
      headers: { "Content-Type": type.json }, body: JSON.stringify(question), signal,
    });
    return { ...(await r.json()), forwarded: r.headers.get(header.forwarded) ?? "" };
  }

  // events calls take for each event of the call until the stream ends. It is read by fetch: an EventSource could neither send the stateful
  // session along, nor tell a 409 from any other error.
  async events(take, signal) {
    const r = await this.#send(200, "GET", `${path.calls}/${encodeURIComponent(this.session)}/events`, {
      headers: { Accept: type.eventStream }, signal,
    });
    await readEvents(r.body, take);
  }

  // servers are the relays for this session (RFC 9725 section 4.6).
  async servers(signal) {
    const r = await this.#send(204, "OPTIONS", path.calls, { signal });
    return iceServers(r.headers.get("Link") ?? "");
  }
}
