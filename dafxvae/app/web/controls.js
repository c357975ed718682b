// A control for every parameter, in its own unit and on its own scale.

import { element } from "dom";

/** The place of a physical value on its scale, 0 to 1. */
export function toShare({ scale, minimum, maximum }, value) {
  const share = scale === "log" ? Math.log(value / minimum) / Math.log(maximum / minimum) : (value - minimum) / (maximum - minimum || 1);
  return Math.min(1, Math.max(0, share));
}

/** The physical value at a place. */
export function toValue({ scale, minimum, maximum, num_values: count }, share) {
  if (count > 1) return minimum + (Math.round(share * (count - 1)) * (maximum - minimum)) / (count - 1);
  return scale === "log" ? minimum * (maximum / minimum) ** share : minimum + (maximum - minimum) * share;
}

/** Four digits, as a person reads them; of decibels hundredths. */
export const shown = (value, unit) => String(Number((unit === "dB" ? Math.round(100 * value) / 100 + 0 : value).toPrecision(4)));

const UNIT = /_(hz|db|ms|seconds|semitones)$/; // of a name, which is shown beside the number

/** All controls of a transfer; `change` is told { edit, moved, isFinal }: values by name, amounts by effect. */
export class Controls {
  constructor(root, parameters, locks, change) {
    this.locks = new Set(locks);
    this.updates = {};
    this.amounts = {};
    const effects = [...new Set(parameters.map((one) => one.effect))];
    root.replaceChildren(...effects.map((effect) => {
      const rows = parameters.filter((one) => one.effect === effect).map((one) => this.#row(one, change));
      const amount = effects.length > 1 ? [this.#amount(effect, change)] : [];
      return element("section", { class: "card", "aria-label": effect }, element("h3", {}, effect, ...amount), ...rows);
    }));
  }

  /** Shows settings and amounts. */
  show({ values, amounts }) {
    for (const [name, value] of Object.entries(values)) this.updates[name](value);
    for (const [effect, amount] of Object.entries(amounts)) this.amounts[effect]?.(amount);
  }

  /** How much of an effect. */
  #amount(effect, change) {
    const place = element("input", { type: "range", min: 0, max: 1.5, step: 0.05, "aria-label": `Amount of ${effect}` });
    const shown = element("output");
    const put = (amount) => {
      place.value = amount;
      shown.textContent = amount.toFixed(2);
    };
    const slid = (amount, isFinal) => {
      put(amount);
      change({ moved: { [effect]: amount }, isFinal });
    };
    place.addEventListener("input", () => slid(place.valueAsNumber, false));
    place.addEventListener("change", () => slid(place.valueAsNumber, true));
    place.addEventListener("dblclick", () => slid(1, true));
    this.amounts[effect] = put;
    return element("label", { class: "muted" }, "amount ", place, shown);
  }

  #row(parameter, change) {
    const { name, kind, unit, effect } = parameter;
    const label = (name.startsWith(`${effect}.`) ? name.slice(effect.length + 1) : name).replace(UNIT, "").replaceAll("_", " ");
    const { moves_db: moves, heard } = parameter;
    const hint = moves === undefined ? "" : heard ? `moves ≤ ${moves.toFixed(1)} dB` : "not audible here";
    const tell = (value, isFinal) => change({ edit: { [name]: value }, isFinal });
    const isLocked = this.locks.has(name);
    const lock = element("button", { type: "button", class: "lock", "aria-pressed": String(isLocked), "aria-label": `Lock ${name}` , click: () => {
      const on = !this.locks.delete(name);
      if (on) this.locks.add(name);
      lock.setAttribute("aria-pressed", String(on));
    } }, "Lock");
    const title = element("span", { class: "name", title: name }, label, element("small", { title: "How much turning it can change the sound of this take" }, hint));
    const value = kind === "choice" ? this.#choice(parameter, tell) : kind === "boolean" ? this.#switch(parameter, tell) : null;
    if (value) return element("div", { class: "setting" }, title, value, lock);
    const place = element("input", { type: "range", min: 0, max: 1, step: parameter.num_values > 1 ? 1 / (parameter.num_values - 1) : 0.001, "aria-label": name });
    const number = element("input", { type: "number", step: "any", "aria-label": `${name} in ${unit || "units"}` });
    const put = (physical) => {
      place.value = toShare(parameter, physical);
      place.setAttribute("aria-valuetext", `${shown(physical, unit)} ${unit}`);
      number.value = shown(physical, unit);
    };
    const slid = (isFinal) => {
      const physical = toValue(parameter, place.valueAsNumber);
      put(physical);
      tell(physical, isFinal);
    };
    place.addEventListener("input", () => slid(false));
    place.addEventListener("change", () => slid(true));
    place.addEventListener("dblclick", () => { put(parameter.found); tell(parameter.found, true); });
    number.addEventListener("change", () => {
      const physical = Math.min(parameter.maximum, Math.max(parameter.minimum, Number.isFinite(number.valueAsNumber) ? number.valueAsNumber : parameter.found));
      put(physical);
      tell(physical, true);
    });
    this.updates[name] = put;
    const track = element("span", { class: "track", title: `found: ${shown(parameter.found, unit)} ${unit}` }, place);
    track.style.setProperty("--found", toShare(parameter, parameter.found));
    return element("div", { class: "setting" }, title, track, number, element("span", { class: "unit" }, unit), lock);
  }

  #choice({ name, labels, found }, tell) {
    const choice = element("select", { "aria-label": name, change: () => tell(choice.value, true) },
      ...labels.map((label, index) => element("option", { value: label }, index === Math.round(found) ? `${label} (found)` : label)));
    this.updates[name] = (value) => { choice.value = value; };
    return choice;
  }

  #switch({ name }, tell) {
    const box = element("input", { type: "checkbox", "aria-label": name, change: () => tell(box.checked, true) });
    this.updates[name] = (value) => { box.checked = value; };
    return box;
  }
}
