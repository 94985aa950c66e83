// An HttpAgent of @ag-ui/client that takes a run up again where its connection broke. The package itself reads no ids
// and never connects again; all that it needs is here: the last id, and a GET with it.
import { HttpAgent, runHttpRequest, transformHttpEventStream } from "@ag-ui/client";

const LONGEST_PAUSE_MS = 10_000;

export class ResumableAgent extends HttpAgent {
  lastEventId = null; // of the newest event that came whole
  lastRunId = null; // of the run that is going on; null: what the thread has
  hasEnded = false;

  constructor(config) {
    super(config);
    const plain = this.fetch;
    this.fetch = async (url, init) => noting(await plain(url, init), (id) => (this.lastEventId = id));
    const ended = () => void (this.hasEnded = true);
    this.subscribe({ onRunFinishedEvent: ended, onRunErrorEvent: ended });
  }

  run(input) {
    [this.lastRunId, this.lastEventId, this.hasEnded] = [input.runId, null, false];
    return super.run(input);
  }

  // What connectAgent() does: the rest of the run; of an agent that has none yet, what the thread has.
  connect({ threadId }) {
    const query = new URLSearchParams({ threadId, ...(this.lastRunId && { runId: this.lastRunId }) });
    const headers = { ...this.headers, ...(this.lastEventId && { "Last-Event-ID": this.lastEventId }) };
    this.abortController = new AbortController();
    const init = { headers, signal: this.abortController.signal };
    return transformHttpEventStream(runHttpRequest(() => this.fetch(`${this.url}?${query}`, init)));
  }

  // runAgent, however often its connection breaks. A run of which nothing came is asked for again under its name.
  async runToEnd(parameters = {}, subscriber = {}) {
    const named = { ...parameters, runId: parameters.runId ?? crypto.randomUUID() };
    this.hasEnded = false;
    for (let pauseMs = 100; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      const before = this.lastEventId;
      try {
        await (this.lastRunId === named.runId && before ? this.connectAgent({}, subscriber) : this.runAgent(named, subscriber));
      } catch (error) {
        const isOurs = this.lastRunId !== named.runId; // it didn't get as far as being sent
        if (isOurs || (error.status >= 400 && error.status < 500)) throw error;
      }
      if (this.hasEnded || this.abortController.signal.aborted) return;
      if (this.lastEventId !== before) pauseMs = 100;
      await new Promise((done) => setTimeout(done, pauseMs));
    }
  }

  // Leaving cancels nothing; this does.
  async cancelRun() {
    const query = new URLSearchParams({ threadId: this.threadId, runId: this.lastRunId });
    await fetch(`${this.url}?${query}`, { method: "DELETE", headers: this.headers });
  }
}

// A connection that breaks ends its stream, as one that is closed does: the package would throw where nobody can catch.
function noting(response, note) {
  if (!response.ok || !response.body) return response;
  const [reader, decoder] = [response.body.getReader(), new TextDecoder()];
  let rest = "";
  const body = new ReadableStream(
    {
      async pull(controller) {
        const { value } = await reader.read().catch(() => ({}));
        if (!value) return controller.close();
        const frames = (rest + decoder.decode(value, { stream: true })).split("\n\n");
        rest = frames.pop();
        controller.enqueue(value);
        for (const frame of frames) {
          const id = /^id: (.+)$/m.exec(frame)?.[1];
          if (id) note(id);
        }
      },
      cancel: (reason) => reader.cancel(reason).catch(() => {}),
    },
    { highWaterMark: 0 }, // an id is noted as its event is read, and not before
  );
  return new Response(body, { status: response.status, headers: response.headers });
}
