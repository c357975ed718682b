// The app: recordings in, a transfer, its settings in the visitor's hands, files out.

import { chart } from "charts";
import { Controls } from "controls";
import { element } from "dom";
import { History, SLOTS } from "history";
import { Player, listen } from "player";
import { ask, begin, fileAddress, finish } from "server";

const CHARTS_AFTER_MS = 400;
const SEARCH = "\u0000"; // no controller has this name
const $ = (id) => document.getElementById(id);
const players = [];
let order = { take: null, references: [] };
let limits, found, history, controls, player, wanted, isPlaying;

/** Runs what may fail; its sentence goes on the page. */
async function attempt(work) {
  $("error").hidden = true;
  try {
    return await work();
  } catch (error) {
    $("error").textContent = error.message;
    $("error").hidden = false;
    $("error").scrollIntoView({ block: "nearest" });
    return null;
  }
}

const minutes = ({ name, seconds, rate, channels }) =>
  `${name}, ${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}, ${rate / 1000} kHz, ${channels === 1 ? "mono" : "stereo"}`;

async function upload(file, role) {
  if (file.size > limits.max_upload) throw new Error(`${file.name} is larger than ${limits.max_upload / 1e6} MB: cut it first.`);
  if (!file.size) throw new Error(`${file.name} is empty: export it again.`);
  $("stage").textContent = `reading ${file.name}`;
  try {
    const summary = await ask(`upload/${role}?name=${encodeURIComponent(file.name)}`, { body: file });
    if (role === "take") order.take = summary;
    else order.references.push(summary);
  } finally {
    $("stage").textContent = "";
    showOrder();
  }
}

function showOrder() {
  $("take").textContent = order.take ? minutes(order.take) : "Drop a recording here, or choose one";
  $("references").replaceChildren(...order.references.map((one, index) => element("li", {}, minutes(one),
    element("button", { type: "button", "aria-label": `Remove ${one.name}`, click: () => attempt(async () => {
      await ask(`references/${index}`, { method: "DELETE" });
      order.references.splice(index, 1);
      showOrder();
    }) }, "×"))));
  $("go").disabled = !order.take || !order.references.length || $("order").classList.contains("busy");
}

function busy(isBusy) {
  $("order").classList.toggle("busy", isBusy);
  $("progress").hidden = !isBusy;
  $("export").disabled = isBusy;
  if (!isBusy) $("stage").textContent = "";
  showOrder();
}

/** Has the server work, follows it to its end, and gives what `then` makes of it. */
async function follow(path, json, then) {
  busy(true);
  try {
    await ask(path, { json });
    return await then(await finish(({ stage, share }) => {
      $("stage").textContent = stage;
      $("progress").value = share;
    }));
  } finally {
    busy(false);
  }
}

async function transfer() {
  const isSearch = $("controller").value === SEARCH;
  const locks = controls && found.chosen === $("controller").value
    ? Object.fromEntries([...controls.locks].map((name) => [name, history.now.values[name]])) : {};
  const choice = isSearch ? { effect: $("effect").value, refine: $("renders").valueAsNumber } : { controller: $("controller").value };
  player?.pause();
  const chosen = $("controller").value;
  show({ ...await follow("transfer", { ...choice, locks, match_level: $("level").value }, () => ask("result")), chosen });
}

function show(result) {
  found = result;
  wanted = null;
  history = new History({ values: found.values, match_level: $("level").value });
  $("fit").textContent = `Fit to the reference: ${found.fit}.`;
  $("notes").replaceChildren(...found.notes.map((note) => element("p", { class: "note" }, note)));
  $("player").replaceChildren();
  player = new Player($("player"), found.player);
  players[0] = player;
  controls = new Controls($("controls"), found.parameters, found.locks, changed);
  $("files").replaceChildren();
  $("amount").value = 1;
  $("amount-shown").textContent = "1.00";
  $("charts").replaceChildren(...found.player.charts.map(chart));
  $("result").hidden = false;
  showSettings();
  showGain(found);
  player.ready.then(() => player.select(2));
  $("result").scrollIntoView({ behavior: "smooth", block: "start" });
}

function showSettings() {
  controls.show(history.now.values);
  $("level").value = history.now.match_level;
  $("undo").disabled = !history.past.length;
  $("redo").disabled = !history.future.length;
  $("slots").replaceChildren(...SLOTS.map((slot) => element("button",
    { type: "button", role: "radio", "aria-checked": String(slot === history.slot), "aria-label": `Snapshot ${slot}`, click: () => move(() => history.choose(slot)) }, slot)));
}

/** Moves through snapshots or time, and plays what is there. */
function move(step) {
  step();
  showSettings();
  play({ ...history.now });
}

function changed({ name, value, isFinal }) {
  const state = { ...history.now, values: { ...history.now.values, [name]: value } };
  if (isFinal) {
    history.set(state);
    showSettings();
  }
  play(state);
}

/** Plays settings; while the server renders, only the last wish is kept. */
async function play(wish) {
  wanted = wish;
  if (isPlaying) return;
  isPlaying = true;
  await attempt(async () => {
    while (wanted) {
      const now = wanted;
      wanted = null;
      const of = player;
      const played = await ask("render", { json: now });
      if (of !== player) break;
      if (now.amount !== undefined && !wanted) {
        const state = { ...history.now, values: played.values };
        if (now.isFinal) history.set(state);
        showSettings();
        controls.show(state.values);
      }
      await player.replace("output", played.clip);
      showGain(played);
      chartsLater();
    }
  });
  isPlaying = false;
}

function showGain({ gain_db: gain }) {
  $("gain").textContent = `gain ${gain >= 0 ? "+" : ""}${gain.toFixed(1)} dB`;
}

let charting;
function chartsLater() {
  clearTimeout(charting);
  charting = setTimeout(() => attempt(async () => $("charts").replaceChildren(...(await ask("charts")).map(chart))), CHARTS_AFTER_MS);
}

function amount(isFinal) {
  $("amount-shown").textContent = $("amount").valueAsNumber.toFixed(2);
  play({ ...history.now, amount: $("amount").valueAsNumber, locks: [...controls.locks], isFinal });
}

async function exportAll() {
  const { files } = await follow("export", { ...history.now, locks: [...controls.locks] }, (job) => job);
  $("files").replaceChildren(...files.map((name) => element("a", { href: fileAddress(name), download: name }, name)));
}

function connect() {
  for (const [id, role] of [["take-file", "take"], ["reference-file", "reference"]]) {
    const input = $(id);
    const area = input.closest(".drop");
    const take = (files) => attempt(async () => { for (const file of files) await upload(file, role); });
    input.addEventListener("change", () => take([...input.files]).then(() => { input.value = ""; }));
    area.addEventListener("dragover", (event) => { event.preventDefault(); area.classList.add("over"); });
    area.addEventListener("dragleave", () => area.classList.remove("over"));
    area.addEventListener("drop", (event) => {
      event.preventDefault();
      area.classList.remove("over");
      take(role === "take" ? [...event.dataTransfer.files].slice(0, 1) : [...event.dataTransfer.files]);
    });
  }
  $("controller").append(...limits.controllers.map(({ name }) => element("option", { value: name }, name)), element("option", { value: SEARCH }, "effects of your own, by search"));
  const choose = () => {
    $("search").hidden = $("controller").value !== SEARCH;
    $("chain").textContent = limits.controllers.find(({ name }) => name === $("controller").value)?.effect ?? "Settings are searched for by rendering; no controller is needed.";
  };
  $("controller").value = limits.controllers.some(({ name }) => name === "eq_compressor") ? "eq_compressor" : limits.controllers[0]?.name ?? SEARCH;
  $("controller").addEventListener("change", choose);
  choose();
  $("order").addEventListener("submit", (event) => { event.preventDefault(); attempt(transfer); });
  $("undo").addEventListener("click", () => move(() => history.undo()));
  $("redo").addEventListener("click", () => move(() => history.redo()));
  $("reset").addEventListener("click", () => move(() => history.set({ ...history.now, values: found.values })));
  $("amount").addEventListener("input", () => amount(false));
  $("amount").addEventListener("change", () => amount(true));
  $("level").addEventListener("change", () => history && move(() => history.set({ ...history.now, match_level: $("level").value })));
  $("export").addEventListener("click", () => attempt(exportAll));
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || !history || event.target.matches?.("input:not([type='range'])")) return;
    event.preventDefault();
    move(() => (event.shiftKey ? history.redo() : history.undo()));
  });
  listen(players);
}

attempt(async () => {
  limits = await begin();
  connect();
});
globalThis.dafxvae = { players }; // for whoever looks at it from outside
