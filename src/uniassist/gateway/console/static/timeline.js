// A virtual list: of ten thousand rows only those in sight are elements. Rows may have any height; what is measured is
// remembered, what isn't yet is estimated. Whatever changes, the row that is being read stays where it is.

import { eachFrame, h } from "./dom.js";

const ESTIMATE = 34;
const AROUND = 600;
const NEAR_END = 40;

class Timeline extends HTMLElement {
  constructor() {
    super();
    this.items = [];
    this.rows = new Map();
    this.offsets = new Float64Array(1);
    this.stuck = true;
    this.before = 0;
    this.inner = h("div", { class: "inner" });
    this.later = eachFrame(() => this.draw());
    this.sizes = new ResizeObserver((entries) => this.measured(entries));
  }

  connectedCallback() {
    this.tabIndex = 0;
    this.setAttribute("role", "feed");
    this.replaceChildren(this.inner);
    this.addEventListener("scroll", () => {
      // Only who scrolls up lets go of the end: rows that grow above it don't.
      const isNear = this.scrollHeight - this.scrollTop - this.clientHeight < NEAR_END;
      if (isNear) this.stuck = true;
      else if (this.scrollTop < this.before - 1) this.stuck = false;
      this.before = this.scrollTop;
      this.dispatchEvent(new CustomEvent("stuck", { detail: this.stuck }));
      this.later();
    }, { passive: true });
    this.sizes.observe(this);
    this.later();
  }

  disconnectedCallback() {
    this.sizes.disconnect();
    this.later.cancel();
  }

  /**
   * `items`: { key, version, make() } in order; the same object for the same row, for its height is kept in it.
   * Drawn with the next frame, however often it is called.
   */
  setItems(items) {
    const anchor = this.anchor();
    this.items = items;
    this.place();
    this.keep(anchor);
    this.later();
  }

  toEnd() {
    this.stuck = true;
    this.later();
  }

  /** The first rows in sight, and how far each begins above the edge: one of them may go. */
  anchor() {
    if (this.stuck || !this.items.length) return null;
    const at = this.at(this.scrollTop);
    return this.items.slice(at, at + 4).map((item, index) => ({ item, above: this.scrollTop - this.offsets[at + index] }));
  }

  keep(anchor) {
    for (const { item, above } of anchor ?? []) {
      const at = this.items.indexOf(item);
      if (at < 0) continue;
      this.scrollTop = this.offsets[at] + above;
      return;
    }
  }

  place() {
    const offsets = new Float64Array(this.items.length + 1);
    for (let at = 0; at < this.items.length; at += 1) {
      offsets[at + 1] = offsets[at] + (this.items[at].height ?? ESTIMATE);
    }
    this.offsets = offsets;
    this.inner.style.height = `${offsets.at(-1) + 16}px`;
  }

  /** The row at this height. */
  at(top) {
    let low = 0;
    let high = Math.max(0, this.items.length - 1);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.offsets[middle] <= top) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  draw() {
    if (this.stuck) this.scrollTop = this.scrollHeight;
    const first = this.at(Math.max(0, this.scrollTop - AROUND));
    const last = this.at(this.scrollTop + this.clientHeight + AROUND);
    const wanted = new Set();
    for (let at = first; at <= last && at < this.items.length; at += 1) {
      const item = this.items[at];
      wanted.add(item.key);
      let row = this.rows.get(item.key);
      if (!row || row.version !== item.version) {
        const element = h("div", { class: "item", role: "article", "aria-posinset": at + 1, "aria-setsize": this.items.length }, item.make());
        if (row) {
          this.sizes.unobserve(row.element);
          row.element.replaceWith(element);
        } else this.inner.append(element);
        element.dataset.key = item.key;
        row = { element, version: item.version, item };
        this.rows.set(item.key, row);
        this.sizes.observe(element);
      }
      row.element.style.transform = `translateY(${this.offsets[at]}px)`;
    }
    for (const [key, row] of this.rows) {
      if (wanted.has(key) || row.element.contains(document.activeElement)) continue;
      this.sizes.unobserve(row.element);
      row.element.remove();
      this.rows.delete(key);
    }
    this.order();
    if (!this.stuck && this.scrollTop < AROUND) this.dispatchEvent(new CustomEvent("top"));
  }

  /** Rows stand in the document as they are read, for the keyboard and for who listens. */
  order() {
    let before = null;
    for (const item of this.items.slice(this.at(Math.max(0, this.scrollTop - AROUND)))) {
      const row = this.rows.get(item.key);
      if (!row) break;
      if (before ? before.nextSibling !== row.element : this.inner.firstChild !== row.element) {
        if (row.element.contains(document.activeElement)) {
          before = row.element;
          continue; // moving it would take the focus away
        }
        if (before) before.after(row.element);
        else this.inner.prepend(row.element);
      }
      before = row.element;
    }
  }

  measured(entries) {
    const anchor = this.anchor();
    let changed = false;
    for (const { target } of entries) {
      const row = this.rows.get(target.dataset.key);
      if (row?.element !== target || !target.isConnected) continue;
      const height = target.offsetHeight;
      if (height && row.item.height !== height) {
        row.item.height = height;
        changed = true;
      }
    }
    if (changed) {
      this.place();
      this.keep(anchor);
    }
    this.later();
  }
}

customElements.define("ua-timeline", Timeline);
