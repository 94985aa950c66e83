// A session followed live: its stream by a ticket; while that can't be had its timeline is asked for instead. The
// cursor is the last event that arrived, so that nothing is missed and nothing comes twice, whoever restarts.

import { call, get, post } from "./api.js";

const SILENT_MS = 40_000; // heartbeats come more often
const POLL_MS = 2000;
const SLOWEST_MS = 5000;

export class Follower {
  /** `heard`: { events(list), delta(frame), state("live" | "polling" | "offline" | "connecting") } */
  constructor(sessionId, cursor, heard) {
    this.sessionId = sessionId;
    this.cursor = cursor;
    this.heard = heard;
    this.ended = new AbortController();
    this.failures = 0;
    this.run();
  }

  stop() {
    this.ended.abort();
  }

  async run() {
    this.heard.state("connecting");
    while (!this.ended.signal.aborted) {
      try {
        await this.stream();
        this.failures = 0; // it ended as streams do when a gateway stops
      } catch (error) {
        if (this.ended.signal.aborted) return;
        this.failures += 1;
      }
      if (this.ended.signal.aborted) return;
      await this.poll();
      const pause = this.failures > 1 ? POLL_MS : Math.min(SLOWEST_MS, 150 * 2 ** this.failures);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  async stream() {
    const { ticket } = await post("stream-tickets", { sessionId: this.sessionId });
    const one = new AbortController();
    const end = () => one.abort();
    this.ended.signal.addEventListener("abort", end, { once: true });
    let silence = setTimeout(end, SILENT_MS);
    try {
      const path = `v0/stream?ticket=${encodeURIComponent(ticket)}&cursor=${this.cursor}`;
      const answer = await call("GET", path, { signal: one.signal, headers: { accept: "text/event-stream" } });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        this.heard.state("live");
        this.failures = 0;
        clearTimeout(silence);
        silence = setTimeout(end, SILENT_MS);
        const frames = (rest + value).split("\n\n");
        rest = frames.pop();
        this.take(frames);
      }
    } finally {
      clearTimeout(silence);
      this.ended.signal.removeEventListener("abort", end);
      one.abort();
    }
  }

  take(frames) {
    const events = [];
    for (const frame of frames) {
      let name = "message";
      let data = "";
      for (const line of frame.split("\n")) {
        if (line.startsWith("event:")) name = line.slice(6).trim();
        else if (line.startsWith("data:")) data += line.slice(5);
      }
      if (!data) continue;
      if (name === "delta") {
        this.give(events);
        this.heard.delta(JSON.parse(data));
      } else if (name === "message") events.push(JSON.parse(data).event);
    }
    this.give(events);
  }

  give(events) {
    const news = events.splice(0).filter((event) => event.seq > this.cursor);
    if (!news.length) return;
    this.cursor = news.at(-1).seq;
    this.heard.events(news);
  }

  async poll() {
    try {
      for (let more = true; more && !this.ended.signal.aborted; ) {
        const page = await get("timeline", { sessionId: this.sessionId, cursor: this.cursor }, { signal: this.ended.signal });
        this.give(page.events);
        more = page.more;
      }
      if (this.failures > 1) this.heard.state("polling");
    } catch (error) {
      if (!this.ended.signal.aborted) this.heard.state("offline");
    }
  }
}
