// The blind test: two recordings behind letters, which of them is nearer to a third.

import { element } from "dom";
import { makeTrials, verdict } from "trials";

const COUNTS = [8, 12, 16];

export class Blind {
  /** Candidates are take and output; what they are compared with is the target, or else the reference. */
  constructor(player) {
    this.player = player;
    const place = (role) => player.data.clips.findIndex((clip) => clip.role === role);
    this.candidates = [place("take"), place("output")];
    this.anchor = place("target") >= 0 ? place("target") : place("reference");
    this.isPossible = this.candidates.every((index) => index >= 0) && this.anchor >= 0;
    player.blindButton.hidden = !this.isPossible;
    this.trials = null;
    this.panel = element("section", { class: "blind", hidden: true, "aria-label": "Blind test" });
    player.chooser.before(this.panel);
  }

  /** While trials go on, nothing on the page may tell the candidates apart. */
  get isRunning() {
    return Boolean(this.trials) && this.trials.some((trial) => trial.chosen === null);
  }

  get trial() {
    return this.trials.find((trial) => trial.chosen === null);
  }

  hides(index) {
    return this.isRunning && this.candidates.includes(index);
  }

  name(index) {
    return this.player.data.clips[index].label;
  }

  toggle() {
    if (!this.isPossible) return;
    if (this.panel.hidden) this.#offer();
    else this.#end();
  }

  #end() {
    const { wasMatched } = this;
    const isBegun = Boolean(this.trials);
    this.trials = null;
    this.panel.hidden = true;
    if (isBegun) {
      this.player.select(0);
      this.player.setMatched(wasMatched);
    } else this.show();
  }

  #offer() {
    const count = element("select", { "aria-label": "Number of trials" },
      ...COUNTS.map((one) => element("option", { value: one, selected: one === 12 }, `${one} trials`)));
    this.panel.replaceChildren(
      element("p", {}, `Which is nearer to ${this.name(this.anchor)}: A or B? One is ${this.name(this.candidates[0])}, ` +
        `the other ${this.name(this.candidates[1])}, in an order that changes by chance. Levels are matched.`),
      element("div", { class: "row" }, count,
        element("button", { type: "button", class: "primary", click: () => this.start(Number(count.value)) }, "Begin"),
        element("button", { type: "button", click: () => this.#end() }, "Close")));
    this.panel.hidden = false;
    count.focus();
    this.show();
  }

  async start(count) {
    this.wasMatched = this.player.isMatched;
    this.trials = makeTrials(count);
    this.player.setMatched(true);
    if (!this.player.isPlaying) await this.player.play();
    this.#ask();
  }

  #ask() {
    const number = this.trials.indexOf(this.trial) + 1;
    const press = (text, key, act, kind = "") => element("button", { type: "button", class: kind, click: act }, text,
      element("kbd", { "aria-hidden": true }, key));
    const hear = press(`Hear ${this.name(this.anchor)}`, "3", () => this.hear(2));
    this.panel.replaceChildren(
      element("p", {}, element("b", {}, `Trial ${number} of ${this.trials.length}. `), `Which is nearer to ${this.name(this.anchor)}?`),
      element("div", { class: "row hear", role: "group", "aria-label": "Hear" },
        press("Hear A", "1", () => this.hear(0)), press("Hear B", "2", () => this.hear(1)), hear),
      element("div", { class: "row" }, press("A is nearer", "A", () => this.choose(0), "primary"),
        press("B is nearer", "B", () => this.choose(1), "primary"),
        element("button", { type: "button", click: () => this.#end() }, "Give up")));
    this.player.say(`Trial ${number} of ${this.trials.length}`);
    this.hear(2);
  }

  /** Hears letter 0 or 1, or what they are compared with (2). */
  hear(letter) {
    this.letter = letter;
    this.player.select(letter === 2 ? this.anchor : this.candidates[this.trial.order[letter]]);
  }

  choose(letter) {
    this.trial.chosen = this.trial.order[letter];
    if (this.isRunning) this.#ask();
    else this.#tell();
  }

  #tell() {
    const names = this.candidates.map((index) => this.name(index));
    const rows = this.trials.map((trial, index) => element("tr", {},
      ...[String(index + 1), names[trial.order[0]], names[trial.order[1]], names[trial.chosen]].map((cell) => element("td", {}, cell))));
    const text = verdict(this.trials, names, this.name(this.anchor));
    this.panel.replaceChildren(
      element("p", { class: "answer", tabindex: -1 }, text),
      element("details", {}, element("summary", {}, "All trials"),
        element("table", {}, element("tr", {}, ...["trial", "A was", "B was", "chosen"].map((name) => element("th", { scope: "col" }, name))), ...rows)),
      element("div", { class: "row" }, element("button", { type: "button", click: () => this.#offer() }, "Again"),
        element("button", { type: "button", click: () => this.#end() }, "Close")));
    this.player.setMatched(this.wasMatched);
    this.player.select(this.anchor);
    this.panel.querySelector(".answer").focus();
  }

  key(name) {
    const acts = { 1: () => this.hear(0), 2: () => this.hear(1), 3: () => this.hear(2), a: () => this.choose(0), b: () => this.choose(1),
      escape: () => this.#end() };
    if (!acts[name]) return false;
    acts[name]();
    return true;
  }

  show() {
    const { player } = this;
    player.blindButton.setAttribute("aria-pressed", !this.panel.hidden);
    player.root.classList.toggle("is-blind", this.isRunning);
    player.chooser.hidden = player.matchButton.hidden = this.isRunning;
    this.panel.querySelectorAll(".hear button").forEach((one, index) => one.setAttribute("aria-pressed", index === this.letter));
  }
}
