// The app: recordings in, a transfer, its settings in the visitor's hands, files out.

import { chart } from "charts";
import { Controls } from "controls";
import { element, walkRadios } from "dom";
import { History, SLOTS } from "history";
import { Player, listen } from "player";
import { ask, begin, fileAddress, finish } from "server";

const CHARTS_AFTER_MS = 400;
const AUTO = "auto";
const RANKED = 0.03; // smaller shares are not shown
const SEARCH = "\u0000", FIND = "\u0001"; // no controller has these names
const EXPLAINED = {
  [AUTO]: "Ranks the controllers for these recordings, and takes the first.",
  [FIND]: "Finds out which of eight effects made the difference, in what order and how they were set.",
  [SEARCH]: "Settings are searched for by rendering; no controller is needed.",
};
const $ = (id) => document.getElementById(id);
const players = [];
const steps = []; // through the history, that wait for a render
const order = { take: null, reference: [], stem: [] };
let limits, found, effects, history, controls, player, wanted, isPlaying;

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
  $(role === "stem" ? "download" : "order").append($("work"));
  $("stage").textContent = `reading ${file.name}`;
  try {
    const summary = await ask(`upload/${role}?name=${encodeURIComponent(file.name)}`, { body: file });
    if (role === "take") order.take = summary;
    else order[role].push({ ...summary, weight: 1, aspect: "" });
  } finally {
    $("stage").textContent = "";
    showOrder();
  }
}

/** The recordings of a role as a list that they can be removed from; references of several have weights and a purpose. */
function showList(role) {
  const isOneOfSeveral = role === "reference" && order[role].length > 1;
  $(`${role}-list`).replaceChildren(...order[role].map((one, index) => element("li", {}, minutes(one),
    ...(isOneOfSeveral ? [element("label", { title: "How often it counts, beside the others" }, " counts ",
      element("input", { type: "number", min: 1, max: 10, value: one.weight, "aria-label": `Weight of ${one.name}`,
        change: (event) => { one.weight = event.target.valueAsNumber || 1; } }), " times "),
    element("label", { title: "For one kind of effects, it alone says how they are set" }, " for ",
      element("select", { "aria-label": `What ${one.name} is for`, change: (event) => { one.aspect = event.target.value; } },
        element("option", { value: "" }, "everything"),
        ...limits.kinds.map((kind) => element("option", { selected: kind === one.aspect }, kind))))] : []),
    element("button", { type: "button", "aria-label": `Remove ${one.name}`, click: () => attempt(async () => {
      await ask(`upload/${role}/${index}`, { method: "DELETE" });
      order[role].splice(index, 1);
      showOrder();
    }) }, "×"))));
}

function showOrder() {
  $("take").textContent = order.take ? minutes(order.take) : "Drop a recording here, or choose one";
  showList("reference");
  showList("stem");
  const stems = order.stem.length;
  $("export").textContent = stems ? `Render the whole take and ${stems} stem${stems > 1 ? "s" : ""}` : "Render the whole take";
  $("stereo").disabled = order.take?.channels !== 1;
  $("go").disabled = !order.take || !order.reference.length || $("order").classList.contains("busy");
}

function busy(isBusy) {
  $("order").classList.toggle("busy", isBusy);
  $("progress").hidden = $("stop").hidden = !isBusy;
  $("export").disabled = $("settings").parentElement.inert = isBusy; // a render would wait for the end
  if (!isBusy) $("stage").textContent = "";
  showOrder();
}

/** Has the server work, follows it to its end, and gives what `then` makes of it. */
async function follow(path, json, then) {
  $(path === "export" ? "download" : "order").append($("work"));
  busy(true);
  try {
    await ask(path, { json });
    return await then(await finish(({ stage, share }) => {
      if ($("stage").textContent !== stage) $("stage").textContent = stage; // it is announced
      if (share) $("progress").value = share;
      else $("progress").removeAttribute("value"); // it is not known how long this takes
    }));
  } finally {
    busy(false);
  }
}

async function transfer() {
  const isSearch = $("controller").value === SEARCH;
  const chosen = isSearch ? $("effect").value : $("controller").value;
  const locks = controls && found.chosen === chosen
    ? Object.fromEntries([...controls.locks].map((name) => [name, history.now.values[name]])) : {};
  const choice = isSearch ? { effect: chosen, refine: $("renders").valueAsNumber } : chosen === FIND ? { find: true } : { controller: chosen };
  const number = (id) => (Number.isFinite($(id).valueAsNumber) ? $(id).valueAsNumber : null);
  const asked = { ...choice, locks, weights: order.reference.map((one) => one.weight),
    aspects: order.reference.length > 1 ? order.reference.map((one) => one.aspect) : [],
    only: [...$("only").querySelectorAll("input:checked")].map((one) => one.value), match_level: $("level").value,
    max_eq_db: number("max-eq"), ceiling_db: number("ceiling"), stereo: $("stereo").checked && !$("stereo").disabled };
  player?.pause();
  const result = await follow("transfer", asked, () => ask("result"));
  show({ ...result, chosen: result.controller ?? chosen });
}

function show(result) {
  found = result;
  wanted = null;
  steps.length = 0;
  effects = [...new Set(found.parameters.map((one) => one.effect))];
  history = new History({ values: found.values, match_level: $("level").value, amounts: all(1) });
  $("fit").textContent = `${found.controller ?? found.effect}, against the reference: ${found.fit}.`;
  const said = [`Compared: ${found.compared}.`, ...(found.confidence ? [`The prediction is ${found.confidence}.`] : [])];
  $("notes").replaceChildren(...said.concat(found.notes).map((note) => element("p", { class: "note" }, note)));
  const ranked = Object.entries(found.ranking).filter(([, share]) => share >= RANKED);
  $("ranking").hidden = !ranked.length;
  $("ranking").replaceChildren("Controllers by predicted fit", ...ranked.map(([name, share]) => element("button",
    { type: "button", "aria-pressed": String(name === found.controller), title: `Transfer with ${name}`, click: () => choose(name) }, `${name} ${Math.round(100 * share)} %`)));
  $("player").replaceChildren();
  player = new Player($("player"), found.player);
  players[0] = player;
  controls = new Controls($("controls"), found.parameters, found.locks, play);
  $("files").replaceChildren();
  $("export-notes").replaceChildren();
  $("formats").replaceChildren("With it, for a DAW:", ...Object.entries(found.formats).map(([name, summary]) =>
    element("label", {}, element("input", { type: "checkbox", value: name }), `  ${name}: ${summary}`)));
  $("charts").replaceChildren(...found.player.charts.map(chart));
  $("result").hidden = false;
  showSettings();
  showGain({ gain_db: found.gain_db, notes: found.gain_notes });
  $("stage").textContent = "done: listen below";
  player.ready.then(() => player.select(2));
  $("result").scrollIntoView({ behavior: "smooth", block: "start" });
}

/** One amount for every effect. */
const all = (amount) => Object.fromEntries(effects.map((name) => [name, amount]));

/** Transfers with another controller. */
function choose(name) {
  $("controller").value = name;
  $("controller").dispatchEvent(new Event("change"));
  $("go").click();
}

function showSettings() {
  controls.show(history.now);
  const amounts = Object.values(history.now.amounts);
  const isOne = amounts.every((one) => one === amounts[0]);
  $("amount").value = amounts.reduce((sum, one) => sum + one, 0) / amounts.length;
  $("amount-shown").textContent = isOne ? amounts[0].toFixed(2) : "mixed";
  $("level").value = history.now.match_level;
  showHistory();
}

function showHistory() {
  $("undo").disabled = !history.past.length;
  $("redo").disabled = !history.future.length;
  for (const radio of $("slots").children) {
    const isOn = radio.textContent === history.slot;
    radio.setAttribute("aria-checked", isOn);
    radio.tabIndex = isOn ? 0 : -1;
  }
}

/** Moves through snapshots or time, after what is being rendered, and plays what is there. */
function move(step) {
  steps.push(step);
  render();
}

/**
 * Plays other settings: `edit` has values by name, `moved` amounts by effect. What is final becomes the state that undo
 * leads back to. While the server renders, wishes are gathered.
 */
function play({ edit = {}, moved = {}, isFinal = false }) {
  wanted = { edit: { ...wanted?.edit, ...edit }, moved: { ...wanted?.moved, ...moved }, isFinal: isFinal || Boolean(wanted?.isFinal) };
  render();
}

/** Has the server render what is wanted, and goes the steps in between; it alone changes the history. */
async function render() {
  if (isPlaying) return;
  isPlaying = true;
  $("player").setAttribute("aria-busy", "true");
  const isDone = await attempt(async () => {
    while (wanted || steps.length) {
      if (!wanted) {
        for (const step of steps.splice(0)) step();
        showSettings();
      }
      const { edit, moved, isFinal } = wanted ?? { edit: {}, moved: {}, isFinal: false };
      wanted = null;
      const of = player;
      const { now } = history;
      const state = { ...now, values: { ...now.values, ...edit }, amounts: { ...now.amounts, ...moved } };
      const played = await ask("render", { json: { ...state, amounts: moved, locks: [...controls.locks] } });
      if (of !== player) break;
      const heard = { ...state, values: played.values };
      if (isFinal) history.set(heard);
      if (isFinal && !wanted) showSettings();
      else if (Object.keys(moved).length && !wanted) controls.show(heard);
      showHistory();
      await player.replace("output", played.clip);
      showGain(played);
      chartsLater();
    }
    return true;
  });
  isPlaying = false;
  $("player").setAttribute("aria-busy", "false");
  if (isDone) return;
  wanted = null;
  for (const step of steps.splice(0)) step();
  showSettings(); // what was refused is not what is heard
}

function showGain({ gain_db: gain, notes }) {
  $("gain").textContent = [`gain ${gain >= 0 ? "+" : ""}${gain.toFixed(1)} dB`, ...notes].join(": ");
}

let charting;
function chartsLater() {
  clearTimeout(charting);
  charting = setTimeout(() => attempt(async () => $("charts").replaceChildren(...(await ask("charts")).map(chart))), CHARTS_AFTER_MS);
}

function amount(isFinal) {
  $("amount-shown").textContent = $("amount").valueAsNumber.toFixed(2);
  play({ moved: all($("amount").valueAsNumber), isFinal });
}

async function exportAll() {
  const formats = [...$("formats").querySelectorAll("input:checked")].map((one) => one.value);
  const { files, notes } = await follow("export", { ...history.now, amounts: {}, locks: [...controls.locks], formats }, (job) => job);
  $("export-notes").replaceChildren(...notes.map((note) => element("p", { class: "note" }, note)));
  $("files").replaceChildren(...files.map((name) => element("a", { href: fileAddress(name), download: name }, name)));
  $("stage").textContent = "done: the files are above";
}

function connect() {
  for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault()); // beside an area it would leave the page
  for (const role of ["take", "reference", "stem"]) {
    const input = $(`${role}-file`);
    const area = input.closest(".drop");
    const take = (files) => attempt(async () => {
      const refused = [];
      for (const file of files) await upload(file, role).catch((error) => refused.push(error.message));
      if (refused.length) throw new Error(refused.join(" — "));
    });
    input.addEventListener("change", () => take([...input.files]).then(() => { input.value = ""; }));
    area.addEventListener("dragover", (event) => { event.preventDefault(); area.classList.add("over"); });
    area.addEventListener("dragleave", () => area.classList.remove("over"));
    area.addEventListener("drop", (event) => {
      event.preventDefault();
      area.classList.remove("over");
      take(role === "take" ? [...event.dataTransfer.files].slice(0, 1) : [...event.dataTransfer.files]);
    });
  }
  $("controller").append(element("option", { value: AUTO }, "auto: what fits best"), element("option", { value: FIND }, "find the effects, among eight"), ...limits.controllers.map(({ name, purpose }) => element("option", { value: name }, `${name}: ${purpose}`)), element("option", { value: SEARCH }, "effects of your own, by search"));
  $("only").append(...limits.kinds.map((kind) => element("label", {}, element("input", { type: "checkbox", value: kind }), ` ${kind}`)));
  const explain = () => {
    $("search").hidden = $("controller").value !== SEARCH;
    $("chain").textContent = limits.controllers.find(({ name }) => name === $("controller").value)?.effect
      ?? EXPLAINED[$("controller").value];
  };
  $("controller").value = limits.controllers.length ? AUTO : SEARCH;
  $("controller").addEventListener("change", explain);
  explain();
  $("order").addEventListener("submit", (event) => { event.preventDefault(); attempt(transfer); });
  $("stop").addEventListener("click", () => attempt(() => ask("stop", { method: "POST" })));
  $("undo").addEventListener("click", () => move(() => history.undo()));
  $("redo").addEventListener("click", () => move(() => history.redo()));
  $("reset").addEventListener("click", () => move(() => history.set({ ...history.now, values: found.values, amounts: all(1) })));
  $("amount").addEventListener("input", () => amount(false));
  $("amount").addEventListener("change", () => amount(true));
  $("amount").addEventListener("dblclick", () => play({ moved: all(1), isFinal: true }));
  $("slots").append(...SLOTS.map((slot) => element("button",
    { type: "button", role: "radio", "aria-checked": "false", "aria-label": `Snapshot ${slot}`, click: () => move(() => history.choose(slot)), keydown: walkRadios }, slot)));
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
