// Elements from plain values: text is always text, so nothing that anybody said can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: on… listeners, `class`, `data`, properties where the element has them, else attributes. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.setAttribute("class", value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name in element && !(element instanceof SVGElement) && !name.startsWith("aria")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...flat(children));
  return element;
}

function flat(children) {
  return children.flat(4).filter((child) => child !== null && child !== undefined && child !== false);
}

export function set(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** A link that leaves, for http and https only; else the text that it is. */
export function outside(href, label) {
  let url = null;
  try {
    url = new URL(href);
  } catch {
    // not absolute: shown as it is
  }
  if (!url || !["http:", "https:"].includes(url.protocol)) return h("span", { class: "mono" }, `${label} (${href})`);
  return h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow" }, label);
}

/** Once a frame at most, whatever calls how often. */
export function eachFrame(run) {
  let asked = 0;
  const later = () => {
    asked ||= requestAnimationFrame(() => {
      asked = 0;
      run();
    });
  };
  later.cancel = () => {
    cancelAnimationFrame(asked);
    asked = 0;
  };
  return later;
}
