// What goes with a message: links, for a gateway keeps no files. Chips above the field, each with a way to take it back.

import { h, set } from "./dom.js";
import { t } from "./words.js";

const KINDS = { image: /\.(avif|gif|jpe?g|png|svg|webp)$/i, audio: /\.(aac|amr|flac|m4a|mp3|oga|ogg|opus|wav)$/i };

/** `button`: opens `place`, where links are entered and shown; `taken()`: what is attached, as an input has it. */
export function attaching() {
  let links = [];
  const field = h("input", { type: "url", placeholder: "https://…", "aria-label": t("attach_link"), onkeydown: (event) => {
    if (event.key === "Escape") return close();
    if (event.key !== "Enter") return;
    event.preventDefault();
    add();
  } });
  const wrong = h("span", { class: "wrong small", role: "alert" });
  const chips = h("div", { class: "chips" });
  const place = h("div", { class: "attaching", hidden: true }, chips, h("div", { class: "line" }, field, h("button", { type: "button", onclick: () => add() }, t("attach"))), wrong);
  const button = h("button", { type: "button", title: t("attach_link"), "aria-label": t("attach_link"), "aria-expanded": "false", onclick: () => (place.hidden ? open() : close()) }, "🔗");

  function open() {
    place.hidden = false;
    button.setAttribute("aria-expanded", "true");
    field.focus();
  }

  function close() {
    if (links.length) return;
    place.hidden = true;
    wrong.textContent = field.value = "";
    button.setAttribute("aria-expanded", "false");
    button.focus();
  }

  /** Whether what was entered is a link, or nothing was. */
  function add() {
    wrong.textContent = "";
    const entered = field.value.trim();
    if (!entered) return true;
    const url = URL.canParse(entered) ? new URL(entered) : null;
    if (!url || !["http:", "https:"].includes(url.protocol)) {
      wrong.textContent = t("attach_wrong");
      return false;
    }
    const name = url.pathname.split("/").pop() || url.host;
    const type = Object.keys(KINDS).find((kind) => KINDS[kind].test(url.pathname)) ?? "file";
    links = [...links, { id: crypto.randomUUID(), type, url: url.href, name }];
    field.value = "";
    draw();
    return true;
  }

  function draw() {
    set(chips, links.map((link) => h("button", { type: "button", title: link.url, "aria-label": `${t("take_back")}: ${link.name}`, onclick: () => {
      links = links.filter((one) => one !== link);
      draw();
      field.focus();
    } }, `${link.name} ✕`)));
  }

  return {
    button,
    place,
    ready: add,
    taken: () => links,
    clear() {
      links = [];
      draw();
      place.hidden = true;
      button.setAttribute("aria-expanded", "false");
    },
  };
}
