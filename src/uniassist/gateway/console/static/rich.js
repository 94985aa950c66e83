// The little of Markdown that providers write, as elements: headings, lists, code, bold, links. Everything else is text.

import { h, outside } from "./dom.js";

const INLINE = /(`[^`\n]+`)|(\*\*[^*\n]+\*\*)|\[([^\]\n]+)\]\(([^)\s]+)\)|(https?:\/\/[^\s<>"'）)】]+)/g;

export function inline(text) {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(INLINE)) {
    parts.push(text.slice(from, found.index));
    const [whole, code, bold, label, href, bare] = found;
    if (code) parts.push(h("code", {}, code.slice(1, -1)));
    else if (bold) parts.push(h("strong", {}, bold.slice(2, -2)));
    else if (label) parts.push(outside(href, label));
    else if (bare) parts.push(outside(bare, bare));
    from = found.index + whole.length;
  }
  parts.push(text.slice(from));
  return parts;
}

const STEP = /^\s*(✓ )?(\d+)[.、)]\s*(.+?)(?:\s*[（(]([^（）()]+)[)）])?$/;
const HEADED = /^【.+】$/;

/** Plain text. Where it numbers things (a plan's steps, reminders) these are rows, with when each is beside it. */
export function plain(text) {
  const lines = text.split("\n");
  if (lines.filter((line) => STEP.test(line)).length < 2) return h("p", { class: "text" }, inline(text));
  const blocks = [];
  let list = null;
  let words = [];
  const end = () => {
    const said = words.join("\n").trim();
    if (said) blocks.push(h("p", { class: "text" }, inline(said)));
    words = [];
  };
  lines.forEach((line, at) => {
    const step = line.match(STEP);
    if (step) {
      end();
      if (!list) blocks.push((list = h("ol", { class: "numbered" })));
      const [, done, number, what, when] = step;
      list.append(h("li", { value: Number(number), class: done ? "done" : "" }, h("span", { class: "no" }, done ? "✓" : `${number}.`), h("span", {}, inline(what)), when && h("span", { class: "when" }, when)));
    } else if (list && line.startsWith("→")) list.append(h("li", { class: "check" }, h("span", { class: "no" }, "→"), h("span", {}, inline(line.slice(1).trim()))));
    else {
      list = null;
      const isTitle = HEADED.test(line) || (line.trim() && !lines[at - 1]?.trim() && STEP.test(lines[at + 1] ?? ""));
      if (isTitle) {
        end();
        blocks.push(h("h4", {}, line.replace(/^【|】$/g, "")));
      } else words.push(line);
    }
  });
  end();
  return h("div", { class: "rich" }, blocks);
}

export function rich(text) {
  const blocks = [];
  let list = null;
  let fence = null;
  for (const line of text.split("\n")) {
    if (line.startsWith("```")) {
      if (fence) blocks.push(h("pre", {}, fence.join("\n")));
      fence = fence ? null : [];
      list = null;
      continue;
    }
    if (fence) {
      fence.push(line);
      continue;
    }
    const item = line.match(/^\s*(?:[-*•]|(\d+)[.、)])\s+(.*)$/);
    if (item) {
      const tag = item[1] ? "ol" : "ul";
      if (list?.localName !== tag) blocks.push((list = h(tag, tag === "ol" ? { start: Number(item[1]) } : {})));
      list.append(h("li", {}, inline(item[2])));
      continue;
    }
    list = null;
    const heading = line.match(/^#{1,6}\s+(.*)$/);
    if (heading) blocks.push(h("h4", {}, inline(heading[1])));
    else if (line.trim()) blocks.push(h("p", { class: "text" }, inline(line)));
  }
  if (fence) blocks.push(h("pre", {}, fence.join("\n")));
  return h("div", { class: "rich" }, blocks);
}
