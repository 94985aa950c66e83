// A client of the gateway, for browsers and Node 18 or newer, without dependencies. An ES module.
//
//   const client = new Client("https://chat.example.com", { userId: "u-7", token: () => freshToken() });
//   const ack = await client.send("plan my weekend", { sessionId: "s-1" });
//   for await (const event of client.follow(ack.sessionId, { cursor: ack.stream.cursor })) { … }
//
// A call that breaks is made again under the same key and with the same bytes, so that it happens once; a stream goes on
// behind the last event that was given. What the gateway refuses is Refused, with its code. The same in Python:
// src/uniassist/client.

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;
const LONGEST_WAIT_MS = 60_000;
// The gateway sends a comment more often than this; a connection that is silent for so long is dead.
const SILENT_MS = 40_000;
const MOST_FRAME_CHARACTERS = 8 * 1024 * 1024;
// What passes by itself: too much just now; a gateway that starts, stops or is full; a proxy before one.
const PASSING = new Set([429, 502, 503, 504]);

/** No answer, within all the patience that there was; whether the gateway acted isn't known. */
export class Away extends Error {
  name = "Away";
}

/** The gateway said no. status: of the answer. code: the contract's; empty: the answer was no problem of ours. */
export class Refused extends Error {
  name = "Refused";

  constructor(status, code, detail, retryAfterMs = null) {
    super(code ? `${code}: ${detail}` : detail);
    Object.assign(this, { status, code, detail, retryAfterMs });
  }

  get passes() {
    return PASSING.has(this.status);
  }
}

/** Of one user. Any number of calls and streams at a time. */
export class Client {
  #url;
  #userId;
  #token;
  #callMs;
  #patienceMs;

  /**
   * url: of the gateway, or of what stands before it.
   * token: an app token, or a function that fetches one: asked for each connection and, after a 401, once more.
   * callMs: for one try. patienceMs: for a call with all its tries; 0: one try.
   */
  constructor(url, { userId, token = null, callMs = 10_000, patienceMs = 60_000 }) {
    if (typeof userId !== "string" || userId === "") throw new TypeError("userId: expected text");
    this.#url = url.replace(/\/+$/, "");
    this.#userId = userId;
    this.#token = token;
    this.#callMs = callMs;
    this.#patienceMs = patienceMs;
  }

  /**
   * A message: once the answer (an IngestAck) is there, it is durable.
   * key: under which it is one message, however often it is tried. An app that sends it again after a restart of its
   * own gives the same key and atMs, when it was written.
   */
  async send(text, { sessionId, attachments, locale, timezone, key = newId(), atMs = Date.now() }) {
    const traceId = await traceOf(key);
    const common = { schemaVersion: "v0", traceId, userId: this.#userId, sessionId, source: "app", timestampMs: atMs };
    return this.#call("POST", "/v0/ingest", { ...common, text, attachments, locale, timezone }, key);
  }

  /** An answer to what was shown: a button, a choice, a form. As `send`; the answer is an InteractAck. */
  async interact({ sessionId, providerId, runId, actionId, payload, key = newId(), atMs = Date.now() }) {
    const traceId = await traceOf(key);
    const common = { schemaVersion: "v0", traceId, sessionId, userId: this.#userId, timestampMs: atMs };
    return this.#call("POST", "/v0/interact", { ...common, providerId, runId, actionId, payload }, key);
  }

  /** A run that is under way. Refused: it is over, or none of this user's. */
  async cancel({ sessionId, runId }) {
    const asked = { schemaVersion: "v0", traceId: newId(), sessionId, userId: this.#userId, timestampMs: Date.now() };
    return this.#call("POST", `/v0/runs/${encodeURIComponent(runId)}/cancel`, asked);
  }

  /** For an EventSource, which can't show a token: `{ticket, expiresAt}`, good for one stream within a minute. */
  async ticket(sessionId) {
    return this.#call("POST", "/v0/stream-tickets", { sessionId });
  }

  /** What there is behind the cursor: each TimelineEvent. */
  async *timeline(sessionId, { cursor = 0 } = {}) {
    for (;;) { // ends: with a page that leads no further
      const page = await this.#call("GET", `/v0/timeline?sessionId=${encodeURIComponent(sessionId)}&cursor=${cursor}`);
      yield* page.events;
      if (page.events.length === 0 || page.nextCursor <= cursor) return;
      cursor = page.nextCursor;
    }
  }

  /**
   * What comes behind the cursor, each TimelineEvent once and in order, for as long as it is read.
   * onDelta: is told of pieces of a message that is being written ({runId, messageId, offset, text}).
   * signal: an AbortSignal, which ends it. The session needn't exist yet.
   */
  async *follow(sessionId, { cursor = 0, onDelta = null, signal = null } = {}) {
    const pauses = new Pauses();
    let isRenewed = false;
    while (!signal?.aborted) { // ends: with its reader, its signal, or a refusal
      const connection = new AbortController();
      const abort = () => connection.abort();
      signal?.addEventListener("abort", abort, { once: true });
      try {
        for await (const frame of this.#frames(sessionId, cursor, connection)) {
          if (frame.type === "delta") {
            onDelta?.(frame);
          } else if (frame.type === "timeline_event" && frame.event.seq > cursor) {
            cursor = frame.event.seq;
            isRenewed = false;
            pauses.reset();
            yield frame.event;
          }
        }
      } catch (error) {
        if (error instanceof Refused) {
          const mayRenew = this.#mayRenew(error, isRenewed);
          if (!error.passes && !mayRenew) throw error;
          isRenewed ||= mayRenew;
        } else if (!(error instanceof Away)) {
          throw error;
        }
      } finally {
        signal?.removeEventListener("abort", abort);
        connection.abort();
      }
      if (!signal?.aborted) await sleep(pauses.take());
    }
  }

  async *#frames(sessionId, cursor, connection) {
    const url = `${this.#url}/v0/stream?sessionId=${encodeURIComponent(sessionId)}&cursor=${cursor}`;
    let silence;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => connection.abort(), SILENT_MS);
    };
    heard();
    try {
      const response = await reached(url, fetch(url, { headers: await this.#headers(), signal: connection.signal }));
      if (!response.ok) throw await refusal(url, response);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) { // ends: with the stream
        const { value, done } = await reached(url, reader.read());
        if (done) return;
        heard();
        rest += value;
        if (rest.length > MOST_FRAME_CHARACTERS) throw new Away(`${url}: a frame without an end`);
        const frames = rest.split("\n\n");
        rest = frames.pop();
        for (const frame of frames) {
          const data = frame.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
          if (data.length > 0) yield JSON.parse(data.join("\n"));
        }
      }
    } finally {
      clearTimeout(silence);
    }
  }

  async #call(method, path, body, key) {
    const url = this.#url + path;
    const raw = body === undefined ? undefined : JSON.stringify(body); // written once: a key is good for these very bytes
    const pauses = new Pauses();
    const end = Date.now() + this.#patienceMs;
    let isRenewed = false;
    for (;;) { // ends: with an answer, or with the patience
      let failure;
      let pause;
      try {
        const headers = await this.#headers(key, raw);
        const signal = AbortSignal.timeout(this.#callMs);
        const response = await reached(url, fetch(url, { method, headers, body: raw, signal, redirect: "error" }));
        if (response.ok) return await reached(url, response.json());
        failure = await refusal(url, response);
        if (this.#mayRenew(failure, isRenewed)) {
          isRenewed = true;
          continue;
        }
        if (!failure.passes) throw failure;
        pause = failure.retryAfterMs ?? pauses.take();
      } catch (error) {
        if (!(error instanceof Away)) throw error;
        failure = error;
        pause = pauses.take();
      }
      if (Date.now() + pause > end) throw failure;
      await sleep(pause);
    }
  }

  #mayRenew(refused, isRenewed) {
    return refused.status === 401 && typeof this.#token === "function" && !isRenewed;
  }

  async #headers(key, raw) {
    const token = typeof this.#token === "function" ? await this.#token() : this.#token;
    return {
      ...(raw === undefined ? {} : { "Content-Type": "application/json" }),
      ...(token ? { Authorization: `Bearer ${token}` } : {}),
      ...(key === undefined ? {} : { "Idempotency-Key": key }),
    };
  }
}

/** Between tries: each about twice as long as the last, so that clients don't all come back at once. */
class Pauses {
  #next = FIRST_PAUSE_MS;

  reset() {
    this.#next = FIRST_PAUSE_MS;
  }

  take() {
    const pause = this.#next * (0.5 + Math.random() / 2);
    this.#next = Math.min(this.#next * 2, LONGEST_PAUSE_MS);
    return pause;
  }
}

/** What `fetch` and its body throw is a broken connection, a deadline, or an answer that is none: Away. */
async function reached(url, promise) {
  try {
    return await promise;
  } catch (error) {
    throw new Away(`${url}: ${error.cause?.code ?? error.name}`);
  }
}

async function refusal(url, response) {
  const after = response.headers.get("retry-after") ?? "";
  const retryAfterMs = /^[0-9]{1,9}$/.test(after) ? Math.min(Number(after) * 1000, LONGEST_WAIT_MS) : null;
  const text = await response.text().catch(() => "");
  try {
    const { code, detail } = JSON.parse(text);
    if (typeof code === "string" && typeof detail === "string") {
      return new Refused(response.status, code, detail, retryAfterMs);
    }
  } catch {
    // no JSON: a proxy's page
  }
  return new Refused(response.status, "", `${url}: answered ${response.status}`, retryAfterMs);
}

/** The same for the same key, as all of a repeated body has to be. */
async function traceOf(key) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
  return Array.from(new Uint8Array(digest).slice(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
