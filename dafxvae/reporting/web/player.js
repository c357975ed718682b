// The player: lanes, transport, keys; one mix behind it.

import { clock, element, walkRadios } from "dom";
import { Blind } from "blind";
import { Mix, decode, fill, matchGains } from "mix";
import { Waveform } from "waveform";

const DRAG_PIXELS = 5; // of a pointer that draws a region rather than seeks
const SHORTEST_SEC = 0.1; // of a region
const KEYS = "space: play · 1–9: what you hear · D: delta · M: match level · B: blind · [ ]: repeat from, to here · \\: all";

let active = null; // the player that keys go to

/** What a player says to screen readers; the text changes, the region is announced. */
const announcer = () => element("p", { class: "unseen", role: "status", "aria-live": "polite" });

export class Player {
  /**
   * data: { rate, clips: [{ label, role, audio, gain, lufs }] }; roles are take, reference, output, target.
   * The delta is that of output and take.
   */
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.voice = 0;
    this.isMatched = false;
    this.region = null; // [first, last] in seconds; null for all
    this.rest = 0; // the position while nothing plays
    this.voices = data.clips.map((clip, index) => ({ label: clip.label, role: clip.role, parts: [[index, 1]] }));
    const [take, output] = ["take", "output"].map((role) => data.clips.findIndex((clip) => clip.role === role));
    if (take >= 0 && output >= 0) {
      this.voices.push({ label: "Delta", role: "delta", parts: [[output, 1], [take, -1]] });
    }
    this.#build();
    this.blind = new Blind(this);
    this.ready = this.#load();
  }

  async #load() {
    const { clips, rate } = this.data;
    try {
      const decoded = await Promise.all(clips.map((clip) => decode(clip, rate)));
      const length = Math.max(...decoded.map((buffer) => buffer.length));
      this.buffers = decoded.map((buffer, index) => fill(buffer, length, clips[index].role === "reference"));
    } catch (error) {
      this.say(`The sound cannot be decoded here (${error.message}).`);
      this.root.classList.add("failed");
      return;
    }
    for (const control of this.root.querySelectorAll("button, input, select")) control.disabled = false;
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.#show();
  }

  get length() {
    return this.buffers ? this.buffers[0].duration : 0;
  }

  get isPlaying() {
    return Boolean(this.mix?.running.length);
  }

  get position() {
    return this.isPlaying ? this.mix.position() : this.rest;
  }

  /** Linear gains of the clips, as they are heard. */
  gains() {
    const { clips } = this.data;
    const matched = matchGains(clips.map((clip) => clip.lufs));
    return clips.map((clip, index) => clip.gain * (this.isMatched ? matched[index] : 1));
  }

  /** The mix in a context; the same for the loudspeakers and for a measurement. */
  connect(context) {
    return new Mix(context, this.buffers, this.gains(), this.voices.map((voice) => voice.parts), this.voice);
  }

  async play() {
    if (!this.mix) {
      this.context = new AudioContext({ sampleRate: this.data.rate, latencyHint: "interactive" });
      this.mix = this.connect(this.context);
      this.mix.setVolume(this.volume.valueAsNumber);
    }
    if (active !== this) active?.pause();
    active = this;
    await this.context.resume();
    this.#start(this.rest);
    this.#show();
    const tick = () => {
      if (!this.isPlaying) return;
      this.draw();
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  pause() {
    if (!this.isPlaying) return;
    this.rest = this.position;
    this.mix.stop();
    this.#show();
  }

  toggle() {
    return this.isPlaying ? this.pause() : this.play();
  }

  #start(offset) {
    const [first, last] = this.region ?? [0, this.length];
    this.mix.start(offset >= first && offset < last ? offset : first, [first, last]);
  }

  seek(seconds) {
    this.rest = Math.min(Math.max(0, seconds), Math.max(0, this.length - 0.001));
    if (this.isPlaying) this.#start(this.rest);
    this.draw();
  }

  select(voice) {
    if (!this.voices[voice]) return;
    this.voice = voice;
    this.mix?.select(voice);
    this.#show();
  }

  setRegion(first, last) {
    const whole = first === null || last - first < SHORTEST_SEC;
    this.region = whole ? null : [Math.max(0, first), Math.min(this.length, last)];
    if (this.isPlaying) this.#start(this.position);
    this.say(whole ? "Repeats all of it" : `Repeats ${clock(this.region[0])} to ${clock(this.region[1])}`);
    this.#show();
  }

  setMatched(isMatched) {
    this.isMatched = isMatched;
    this.mix?.setGains(this.gains());
    this.#show();
  }

  /** Puts another recording in the place of one, at the same position; false where a later one came first. */
  async replace(role, clip) {
    const index = this.data.clips.findIndex((one) => one.role === role);
    this.turn = (this.turn ?? 0) + 1;
    const turn = this.turn;
    const decoded = await decode(clip, this.data.rate);
    if (turn !== this.turn) return false;
    this.data.clips[index] = { ...this.data.clips[index], ...clip };
    this.buffers[index] = fill(decoded, this.buffers[0].length, role === "reference");
    this.mix?.setGains(this.gains());
    this.mix?.replace(index, this.buffers[index]);
    this.#show();
    return true;
  }

  say(text) {
    this.status.textContent = text;
  }

  #build() {
    const button = (text, key, label, act) =>
      element("button", { type: "button", disabled: true, "aria-label": label, title: label, click: act }, text,
        element("kbd", { "aria-hidden": true }, key));
    this.playButton = button("Play", "space", "Play or pause", () => this.toggle());
    this.playButton.classList.add("play");
    this.clock = element("span", { class: "clock", "aria-hidden": true });
    this.matchButton = button("Match level", "M", "Match level: all as loud as the quietest", () => this.setMatched(!this.isMatched));
    this.blindButton = button("Blind test", "B", "Blind test", () => this.blind.toggle());
    this.volume = element("input", { type: "range", min: 0, max: 1, step: 0.01, value: 1, disabled: true,
      input: () => this.mix?.setVolume(this.volume.valueAsNumber) });
    this.chooser = element("div", { class: "chooser", role: "radiogroup", "aria-label": "What you hear" });
    this.voices.forEach((voice, index) => this.chooser.append(this.#choice(voice, index)));
    this.canvas = element("canvas", { role: "slider", tabindex: 0, "aria-label": "Position", "aria-valuemin": 0,
      keydown: (event) => this.#slide(event) });
    this.canvas.style.setProperty("--lanes", this.data.clips.length);
    this.waveform = new Waveform(this.canvas);
    this.#pointer();
    this.regionText = element("span", { class: "muted" });
    this.status = announcer();
    this.root.append(
      element("div", { class: "transport" }, this.playButton, this.clock, this.matchButton, this.blindButton,
        element("label", { class: "volume" }, "Volume ", this.volume)),
      this.chooser, this.canvas,
      element("div", { class: "region" },
        button("From here", "[", "Repeat from here", () => this.setRegion(this.position, this.region?.[1] ?? this.length)),
        button("To here", "]", "Repeat to here", () => this.setRegion(this.region?.[0] ?? 0, this.position)),
        button("All", "\\", "Repeat all", () => this.setRegion(null)), this.regionText),
      element("p", { class: "keys muted" }, KEYS), this.status);
    this.root.append(...this.root.querySelectorAll(":scope > p.muted:first-child")); // the note of the page comes last
    this.root.addEventListener("pointerdown", () => { if (!active?.isPlaying) active = this; });
  }

  #choice(voice, index) {
    const key = voice.role === "delta" ? "D" : index < 9 ? String(index + 1) : "";
    return element("button",
      { type: "button", role: "radio", disabled: true, "data-role": voice.role, click: () => this.select(index),
        keydown: walkRadios },
      element("kbd", { "aria-hidden": true, hidden: !key }, key), element("b", {}, voice.label), element("small", {}));
  }

  #slide(event) {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 5, PageDown: -5 }[event.key];
    const place = { Home: 0, End: this.length }[event.key];
    if (step === undefined && place === undefined) return;
    event.preventDefault();
    this.seek(place ?? this.position + step);
    this.#show();
  }

  #pointer() {
    let begun = null;
    const at = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return (Math.min(Math.max(0, event.clientX - box.left), box.width) / box.width) * this.length;
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      if (!this.buffers || event.button !== 0) return;
      begun = { x: event.clientX, time: at(event) };
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!begun || Math.abs(event.clientX - begun.x) < DRAG_PIXELS) return;
      this.drawn = [begun.time, at(event)].sort((a, b) => a - b);
      this.draw();
    });
    this.canvas.addEventListener("pointerup", (event) => {
      if (!begun) return;
      if (this.drawn) this.setRegion(...this.drawn);
      else this.seek(at(event));
      begun = this.drawn = null;
      this.#show();
    });
    this.canvas.addEventListener("pointercancel", () => { begun = this.drawn = null; });
  }

  /** Brings all controls in line with the state. */
  #show() {
    const matched = matchGains(this.data.clips.map((clip) => clip.lufs));
    [...this.chooser.children].forEach((choice, index) => {
      const { parts, role } = this.voices[index];
      const isOn = index === this.voice;
      choice.setAttribute("aria-checked", isOn);
      choice.tabIndex = isOn ? 0 : -1;
      const { lufs } = this.data.clips[parts[0][0]];
      const level = lufs === null ? "" : `${lufs.toFixed(1)} LUFS`;
      const change = this.isMatched && lufs !== null ? ` ${(20 * Math.log10(matched[parts[0][0]])).toFixed(1)} dB` : "";
      choice.querySelector("small").textContent = role === "delta" ? "output − take" : level + change;
    });
    this.playButton.firstChild.textContent = this.isPlaying ? "Pause" : "Play";
    this.playButton.setAttribute("aria-pressed", this.isPlaying);
    this.matchButton.setAttribute("aria-pressed", this.isMatched);
    this.regionText.textContent = this.region
      ? `repeats ${clock(this.region[0])} – ${clock(this.region[1])}` : "drag over the waveform to repeat a part";
    this.canvas.setAttribute("aria-valuemax", this.length.toFixed(1));
    this.canvas.setAttribute("aria-valuenow", this.position.toFixed(1));
    this.canvas.setAttribute("aria-valuetext", `${clock(this.position)} of ${clock(this.length)}`);
    this.blind?.show();
    this.draw();
  }

  draw() {
    if (!this.buffers) return;
    const gains = this.gains();
    const heard = this.voices[this.voice].parts.map(([index]) => index);
    const lanes = this.data.clips.map((clip, index) => ({
      buffer: this.buffers[index], gain: gains[index], colour: `--${clip.role}`, label: clip.label,
      isOn: heard.includes(index) && !this.blind.isRunning, isHidden: this.blind.hides(index),
    }));
    const region = this.drawn ?? this.region;
    this.waveform.draw(lanes, this.position / this.length, region?.map((seconds) => seconds / this.length));
    this.clock.textContent = `${clock(this.position)} / ${clock(this.length)}`;
  }

  /** What a key does; false where it is none of the player's. */
  key(name) {
    const index = Number(name) - 1;
    if (this.blind.isRunning) return this.blind.key(name) || (name === " " && (this.toggle(), true));
    const acts = {
      " ": () => this.toggle(),
      d: () => this.select(this.voices.findIndex((voice) => voice.role === "delta")),
      m: () => this.setMatched(!this.isMatched),
      b: () => this.blind.toggle(),
      "[": () => this.setRegion(this.position, this.region?.[1] ?? this.length),
      "]": () => this.setRegion(this.region?.[0] ?? 0, this.position),
      "\\": () => this.setRegion(null),
    };
    if (this.voices[index] && this.voices[index].role !== "delta") this.select(index);
    else if (acts[name]) acts[name]();
    else return false;
    return true;
  }
}

/** Keys of the whole page go to the player that was used last; the first one until then. */
export function listen(players) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, select, textarea")) return;
    if (event.key === " " && event.target.closest?.("button, summary, a")) return;
    const player = active ?? players[0];
    if (player?.buffers && player.key(event.key.toLowerCase())) event.preventDefault();
  });
}
