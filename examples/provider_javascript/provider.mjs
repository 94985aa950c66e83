// Counts the words of what it is sent: a provider without any dependency. node provider.mjs; PORT=… for another port.
import { createServer } from "node:http";
import { timingSafeEqual } from "node:crypto";

const ID = "words_js";
const TOKEN = process.env.UNIASSIST_PROVIDER_TOKEN_WORDS_JS ?? ""; // what the gateway shows; empty: anybody may call
const PORT = Number(process.env.PORT ?? 9002);
const MOST_BYTES = 1024 * 1024 + 64 * 1024;
const MOST_ANSWERS = 1000;
const PAUSE_MS = 40;
const answers = new Map(); // the same run, the same answer

const manifest = {
  schemaVersion: "v0",
  providerId: ID,
  name: "Words, in JavaScript",
  version: "1",
  description: "Counts the words of a text.",
  capabilities: { inputs: ["text"], interactionEvents: ["assistant_message"], streaming: true },
  sla: { ackWithinMs: 1000, maxSyncResponseMs: 5000 },
  security: { auth: TOKEN ? "bearer" : "none", requiredScopes: [] },
};

/** The pieces of the answer to a text; together they are the message. */
function pieces(text, locale) {
  const words = text.split(/\s+/u).filter((word) => word !== "");
  return locale?.startsWith("en") ? ["In all ", `${words.length} words.`] : ["一共有", ` ${words.length} 个词。`];
}

class Refused extends Error {
  constructor(status, code, detail) {
    super(detail);
    Object.assign(this, { status, code });
  }
}

async function read(request, code) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size <= MOST_BYTES) chunks.push(chunk); // the rest is read and dropped, so that the refusal is heard
  }
  if (size > MOST_BYTES) throw new Refused(413, "PAYLOAD_TOO_LARGE", `body: at most ${MOST_BYTES} bytes`);
  const bad = (detail) => new Refused(400, code, detail);
  let body;
  try {
    body = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks)), (key, value) => {
      if (typeof value === "string" && (value.includes("\0") || !value.isWellFormed())) throw new Error("text");
      return value;
    });
  } catch {
    throw bad("body: expected JSON as UTF-8, without U+0000 and lone surrogates");
  }
  if (body === null || typeof body !== "object" || Array.isArray(body)) throw bad("body: expected an object");
  if (body.schemaVersion !== "v0") throw bad("schemaVersion: expected v0");
  const needs = { "run.runId": "string", "run.attempt": "number", "run.idempotencyKey": "string" };
  const subject = code === "INVALID_INVOKE_REQUEST" ? "input" : "interaction";
  needs[subject] = needs.context = needs["context.user"] = "object";
  for (const [path, type] of Object.entries(needs)) {
    const value = path.split(".").reduce((part, name) => part?.[name] ?? null, body);
    if (value === null || typeof value !== type || value === "") throw bad(`${path}: expected ${type}`);
  }
  const providerId = subject === "input" ? body.run.providerId : body.interaction.providerId;
  if (providerId !== ID) throw bad(`providerId: expected ${ID}`);
  return body;
}

function send(response, status, body, type = "application/json") {
  response.writeHead(status, { "content-type": type }).end(JSON.stringify(body));
}

function checkCaller(request) {
  const shown = Buffer.from(request.headers.authorization ?? "");
  const wanted = Buffer.from(`Bearer ${TOKEN}`);
  if (TOKEN && !(shown.length === wanted.length && timingSafeEqual(shown, wanted)))
    throw new Refused(401, "INVALID_PROVIDER_TOKEN", "Authorization: expected Bearer and the gateway's token");
}

function answerTo(body) {
  const { runId } = body.run;
  if (!answers.has(runId)) {
    if (answers.size >= MOST_ANSWERS) answers.delete(answers.keys().next().value); // the oldest
    answers.set(runId, pieces(body.input.text ?? "", body.context.user.locale));
  }
  return answers.get(runId);
}

async function invoke(request, response) {
  const body = await read(request, "INVALID_INVOKE_REQUEST");
  const { runId } = body.run;
  const said = answerTo(body);
  const message = { type: "assistant_message", messageId: "m1", text: said.join("") };
  if (!(request.headers.accept ?? "").includes("text/event-stream")) {
    const answer = { schemaVersion: "v0", runId, providerId: ID, ack: { type: "ack" }, immediateEvents: [message] };
    return send(response, 200, answer);
  }
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  const frame = (value) => response.write(`data: ${JSON.stringify(value)}\n\n`);
  for (const text of said) {
    if (response.destroyed) return; // the person cancelled
    frame({ type: "delta", messageId: "m1", text });
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS)); // as if it had to think
  }
  frame({ type: "event", event: message });
  frame({ type: "end" });
  response.end();
}

async function interact(request, response) {
  const { run, context } = await read(request, "INVALID_INTERACT_REQUEST");
  const text = context.user.locale?.startsWith("en") ? "There is nothing to tap here." : "这里没有可以点的内容。";
  send(response, 200, { schemaVersion: "v0", runId: run.runId, events: [{ type: "assistant_message", text }] });
}

const routes = {
  "GET /.well-known/uniassist/manifest.json": (request, response) => send(response, 200, manifest),
  "GET /health": (request, response) => send(response, 200, { ok: true, service: `provider-${ID}` }),
  "POST /v0/invoke": invoke,
  "POST /v0/interact": interact,
};

const server = createServer(async (request, response) => {
  try {
    const route = routes[`${request.method} ${request.url.split("?")[0]}`];
    if (route === undefined) throw new Refused(404, "NOT_FOUND", "path: nothing is served here");
    if (request.method === "POST") checkCaller(request);
    await route(request, response);
  } catch (error) {
    if (response.headersSent) return response.destroy();
    const { status = 500, code = "INTERNAL" } = error;
    if (status === 500) console.error(error);
    const detail = status === 500 ? "Something went wrong here." : error.message;
    const problem = { schemaVersion: "v0", type: "about:blank", title: code, status, code, detail };
    send(response, status, problem, "application/problem+json");
  }
});
server.listen(PORT, "127.0.0.1", () => console.log(`${ID} at http://127.0.0.1:${PORT}`));
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => server.close(() => process.exit(0)).closeAllConnections());
