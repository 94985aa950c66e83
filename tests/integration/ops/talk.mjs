// node talk.mjs MODULE URL TOKEN MESSAGES: talks by the JavaScript client, and prints a line of JSON for all that happens.
const [module, url, token, messages] = process.argv.slice(2);
const { Away, Client, Refused } = await import(module);
const say = (line) => console.log(JSON.stringify(line));

let bad = 1; // the first token is none
const tokens = async () => (bad-- > 0 ? "none" : token);
const client = new Client(url, { userId: "u-7", token: tokens, patienceMs: 90_000 });

const stop = new AbortController();
const seqs = [];
const following = (async () => {
  for await (const event of client.follow("js", { signal: stop.signal })) seqs.push(event.seq);
})();
for (let number = 0; number < Number(messages); number += 1) {
  await client.send(`message ${number}`, { sessionId: "js" });
  say({ sent: number });
}
const texts = [];
let count = 0;
for await (const event of client.timeline("js")) {
  count += 1;
  if (event.kind === "inbound") texts.push(event.payload.input.text);
}
while (seqs.length < count) await new Promise((resolve) => setTimeout(resolve, 20));
stop.abort();
await following;
say({ texts, seqs });

const first = await client.send("hello", { sessionId: "js", key: "once", atMs: 1_700_000_000_000 });
const again = await client.send("hello", { sessionId: "js", key: "once", atMs: 1_700_000_000_000 });
const answered = await client.interact({
  sessionId: "js", providerId: "builtin_chat", runId: first.runs[0]?.runId ?? "none", actionId: "new_session:",
});
const ticket = await client.ticket("js");
const refused = await client.cancel({ sessionId: "js", runId: "run/of nobody" }).catch((error) => error);
const away = await new Client("http://127.0.0.1:1", { userId: "u-7", patienceMs: 0 })
  .send("hello", { sessionId: "js" }).catch((error) => error);
say({
  same: JSON.stringify(first) === JSON.stringify(again),
  newSession: answered.newSessionId,
  ticket: ticket.ticket,
  refused: refused instanceof Refused && refused.status,
  away: away instanceof Away,
});
