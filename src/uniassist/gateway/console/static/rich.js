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
