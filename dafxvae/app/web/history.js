// Settings over time: undo, redo, and four snapshots, one of which is being changed.

export const SLOTS = ["A", "B", "C", "D"];

export class History {
  constructor(state) {
    this.slots = { A: state };
    this.slot = "A";
    this.past = [];
    this.future = [];
  }

  get now() {
    return this.slots[this.slot];
  }

  /** Changes the snapshot at hand. */
  set(state) {
    this.past.push({ slot: this.slot, state: this.now });
    this.future = [];
    this.slots[this.slot] = state;
  }

  /** Turns to another snapshot; an empty one begins as a copy. */
  choose(slot) {
    this.slots[slot] ??= this.now;
    this.slot = slot;
  }

  undo() {
    this.#step(this.past, this.future);
  }

  redo() {
    this.#step(this.future, this.past);
  }

  #step(from, to) {
    const step = from.pop();
    if (!step) return;
    to.push({ slot: step.slot, state: this.slots[step.slot] });
    this.slot = step.slot;
    this.slots[step.slot] = step.state;
  }
}
