// Line charts as SVG, in the colours of the recordings; what is under the pointer is read out in numbers.

import { element } from "dom";

const WIDTH = 640;
const HEIGHT = 220;
const EDGE = { left: 44, right: 16, top: 10, bottom: 26 };
const DASHES = ["7 3", "2 3", "9 3 2 3", "14 4", "1 5"]; // of references, in turn
const HERTZ = [20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000];

const shown = (value, unit) =>
  unit === "Hz" && value >= 1000 ? `${+(value / 1000).toPrecision(3)} kHz` : `${+value.toPrecision(3)} ${unit}`;

/** Round steps between two values, at most `count`. */
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + 1e-9; value += step) found.push(value);
  return found;
}

/** A figure of { title, note, x: { unit, isLog }, y: { unit }, lines: [{ label, role, x: [], y: [] }] }; null is a gap. */
export function chart(data) {
  const values = data.lines.flatMap((line) => line.y).filter((value) => value !== null);
  const places = data.lines.flatMap((line) => line.x);
  const ys = range(values, data.y);
  const xs = [Math.min(...places), Math.max(...places)];
  const scale = data.x.isLog ? Math.log : (value) => value;
  const toX = (value) => EDGE.left + ((scale(value) - scale(xs[0])) / (scale(xs[1]) - scale(xs[0]) || 1)) * (WIDTH - EDGE.left - EDGE.right);
  const toY = (value) => HEIGHT - EDGE.bottom - ((value - ys[0]) / (ys[1] - ys[0])) * (HEIGHT - EDGE.top - EDGE.bottom);
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${data.title}. ${data.note}` });
  for (const value of ticks(...ys, 5)) {
    svg.append(element("line", { x1: EDGE.left, x2: WIDTH - EDGE.right, y1: toY(value), y2: toY(value), class: Math.abs(value) < 1e-9 ? "zero" : "grid" }),
      element("text", { x: EDGE.left - 6, y: toY(value) + 4, "text-anchor": "end" }, String(+value.toPrecision(6))));
  }
  for (const value of data.x.isLog ? HERTZ.filter((hertz) => hertz >= xs[0] && hertz <= xs[1]) : ticks(...xs, 8)) {
    svg.append(element("line", { x1: toX(value), x2: toX(value), y1: EDGE.top, y2: HEIGHT - EDGE.bottom, class: "grid" }),
      element("text", { x: toX(value), y: HEIGHT - 9, "text-anchor": "middle" }, data.x.isLog && value >= 1000 ? `${value / 1000}k` : String(+value.toPrecision(6))));
  }
  const references = data.lines.filter((line) => line.role === "reference");
  const dash = (line) => ({ "stroke-dasharray": line.role === "reference" ? DASHES[references.indexOf(line) % DASHES.length] : null });
  for (const line of data.lines) svg.append(element("path", { d: path(line, toX, toY), "data-role": line.role, ...dash(line) }));
  const cursor = element("line", { y1: EDGE.top, y2: HEIGHT - EDGE.bottom, class: "cursor", x1: -9, x2: -9 });
  svg.append(cursor);
  const legend = data.lines.map((line) => element("span", { "data-role": line.role },
    element("svg", { viewBox: "0 0 28 4" }, element("path", { d: "M0 2H28", ...dash(line) })), element("b", {}, line.label), element("i", {})));
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const wanted = ((event.clientX - box.left) / box.width) * WIDTH;
    data.lines.forEach((line, index) => {
      const nearest = line.x.reduce((best, value, i) => (Math.abs(toX(value) - wanted) < Math.abs(toX(line.x[best]) - wanted) ? i : best), 0);
      legend[index].lastChild.textContent = line.y[nearest] === null ? "" : ` ${line.y[nearest].toFixed(1)} ${data.y.unit}`;
      cursor.setAttribute("x1", toX(line.x[nearest]));
      cursor.setAttribute("x2", toX(line.x[nearest]));
      readout.textContent = shown(line.x[nearest], data.x.unit);
    });
  });
  svg.addEventListener("pointerleave", () => {
    for (const one of [readout, ...legend.map((item) => item.lastChild)]) one.textContent = "";
    cursor.setAttribute("x1", -9);
    cursor.setAttribute("x2", -9);
  });
  const readout = element("span", { class: "muted" });
  return element("figure", { class: "chart" },
    element("figcaption", {}, element("b", {}, data.title), element("span", { class: "muted" }, `${data.y.unit} over ${data.x.unit}`)),
    element("div", { class: "legend", "aria-hidden": true }, ...legend, readout), svg, element("p", { class: "muted" }, data.note));
}

function range(values, { low, span }) {
  let [bottom, top] = [Math.min(...values), Math.max(...values)];
  if (low !== undefined) bottom = Math.max(bottom, low);
  if (top - bottom < span) [bottom, top] = [(top + bottom - span) / 2, (top + bottom + span) / 2];
  const slack = 0.05 * (top - bottom);
  return [bottom - slack, top + slack];
}

function path(line, toX, toY) {
  let isBroken = true;
  return line.x.map((value, index) => {
    if (line.y[index] === null) {
      isBroken = true;
      return "";
    }
    const command = isBroken ? "M" : "L";
    isBroken = false;
    return `${command}${toX(value).toFixed(1)} ${Math.min(toY(line.y[index]), HEIGHT - EDGE.bottom).toFixed(1)}`;
  }).join("");
}
