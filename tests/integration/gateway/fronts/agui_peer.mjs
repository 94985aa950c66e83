// A client made with @ag-ui/client, led by lines of JSON: {"do": NAME, …} in, what it has and what came out.
import { createInterface } from "node:readline";
import { ResumableAgent } from "./resumable.mjs";

const [url, threadId] = process.argv.slice(2);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
console.warn = (...words) => say({ warned: words.map(String).join(" ") });
console.error = (...words) => say({ failed: words.map(String).join(" ") });

const agent = new ResumableAgent({ url, threadId });
agent.subscribe({
  onEvent: ({ event }) => say({ event }),
  onMessagesChanged: () => say({ texts: agent.messages.filter((each) => each.role === "assistant").map((each) => each.content ?? "") }),
});
const acts = {
  say: ({ text, id, runId, resume }) => {
    if (text) agent.addMessage({ id, role: "user", content: text });
    return agent.runToEnd({ runId, resume });
  },
  once: ({ text, id, runId }) => {
    agent.addMessage({ id, role: "user", content: text });
    return agent.runAgent({ runId });
  },
  connect: () => agent.connectAgent({}),
  abort: () => agent.abortRun(),
  cancel: () => agent.cancelRun(),
  move: (to) => void (agent.url = to.url),
};
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  Promise.resolve()
    .then(() => acts[asked.do](asked))
    .then(
      () => say({ done: asked.do, messages: agent.messages, state: agent.state, interrupts: agent.pendingInterrupts, hasEnded: agent.hasEnded }),
      (error) => say({ done: asked.do, error: String(error), messages: agent.messages }),
    );
}
