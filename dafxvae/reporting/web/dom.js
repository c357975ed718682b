// Elements from tag, attributes and children.

const SVG = new Set(["svg", "g", "path", "line", "text", "rect", "title"]);

/** An element; attributes that are functions listen to the event of that name. */
export function element(tag, attributes = {}, ...children) {
  const made = SVG.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : value);
  }
  made.append(...children);
  return made;
}

/** 1:02.3 */
export function clock(seconds) {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  return `${Math.floor(tenths / 600)}:${String(Math.floor(tenths / 10) % 60).padStart(2, "0")}.${tenths % 10}`;
}

/** Arrows walk along a group of radio buttons; a listener of keydown. */
export function walkRadios(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  event.stopPropagation();
  const shown = [...event.target.parentElement.children].filter((choice) => !choice.hidden);
  const next = shown[(shown.indexOf(event.target) + step + shown.length) % shown.length];
  next.click();
  next.focus();
}
