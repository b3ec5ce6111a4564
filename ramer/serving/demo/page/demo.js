"use strict";
const NAMES = { audio: "Audio", video: "Face", text: "Words" };
const ABSENT = { audio: "the sound", video: "the face", text: "the words" };
const at = (id) => document.getElementById(id);
const FAULTS = ["page-fault", "drop-fault", "words-fault", "pick-fault", "answer-fault"];
const EMPTY = "Drop or pick a clip first.", NOBODY = "Switch a modality off to see whose clips are retrieved for it.";
let model, clip = null, file = null;
let reading = 0, asked = 0, stop = new AbortController();
let subject = null, spokenIn = null; // what is on the screen, and whose words are in the field; null: nothing, the next one's
const on = new Set();
let whole = null; // probabilities with everything that the clip has

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text; // never as HTML: ids and labels are other people's
  return node;
}

async function call(path, options) {
  const answer = await fetch(path, options).catch((error) => {
    throw error.name === "AbortError" ? error : new Error("No answer: is ramer demo still running?");
  });
  const body = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  if (!answer.ok) throw new Error(body.error || `the server answered ${answer.status}`);
  return body;
}

// Where it stands is beside what was used: a fault of a dropped file below the field for files.
function fault(where, text) {
  for (const id of FAULTS) at(id).textContent = id === where ? text : "";
  at("drop").classList.toggle("wrong", where === "drop-fault");
  for (const [id, own] of [["transcript", "words-fault"], ["pick", "pick-fault"], ["file", "drop-fault"]])
    at(id).toggleAttribute("aria-invalid", where === own);
  if (where && where !== "page-fault") at(where).scrollIntoView({ block: "nearest" });
}

// Nothing of another clip stays on the screen.
function clear(words, near = NOBODY) {
  clip = whole = null;
  ++asked;
  on.clear();
  at("bars").replaceChildren(make("p", "hint", words));
  at("near").replaceChildren(make("p", "hint", near));
  at("set").hidden = at("legend").hidden = true;
  at("said").textContent = at("status").textContent = "";
  if (model) drawSwitches();
}

// Names stand between backticks.
function sentence(text) {
  const line = make("li");
  text.split("`").forEach((part, i) => line.append(i % 2 ? make("code", "", part) : part));
  return line;
}

async function start() {
  model = await call("api/model");
  const times = model.replicates === 1 ? "1 replicate" : `${model.replicates} replicates`;
  at("model").textContent = `Method ${model.method} · corpus ${model.corpus} · mean of ${times}`;
  const kind = model.type === model.method ? "" : ` (${model.type})`;
  at("what").textContent = `${model.method}${kind}, trained on ${model.corpus}, knows ${model.labels.length} emotions: ${model.labels.join(", ")}.`;
  at("advice").replaceChildren(...model.advice.map(sentence));
  at("limits").replaceChildren(...model.limits.map(sentence));
  at("limits-title").hidden = !model.limits.length;
  if (!model.takes_files) {
    at("drop").classList.add("off");
    for (const id of ["file", "transcript", "read"]) at(id).disabled = true;
    at("drop-text").textContent = "This page takes no files";
    at("drop-hint").textContent = `Files cannot be taken: ${model.why_no_files}`;
  }
  if (model.clips.length) {
    at("pick-field").hidden = false;
    for (const id of model.clips) at("pick").append(new Option(id, id));
  }
  drawSwitches();
}

function drawSwitches() {
  at("switches").replaceChildren(...model.modalities.map((name) => {
    const held = clip !== null && clip.held.includes(name);
    const button = make("button", "switch");
    button.type = "button";
    button.id = `switch-${name}`;
    button.setAttribute("role", "switch");
    button.setAttribute("aria-checked", String(held && on.has(name)));
    button.disabled = !held;
    const words = make("span");
    const state = clip === null ? "" : held ? (on.has(name) ? "used" : "switched off") : clip.missing[name];
    words.append(make("span", "", NAMES[name]), make("small", "", state));
    button.append(make("span", "knob"), words);
    button.onclick = () => {
      if (!on.delete(name)) on.add(name);
      drawSwitches();
      at(`switch-${name}`).focus();
      predict();
    };
    return button;
  }));
}

// Args: reads the clip, given a signal that ends it; what is being read; where its fault stands.
async function take(read, name, where) {
  const turn = ++reading;
  stop.abort();
  stop = new AbortController();
  fault(null);
  clear(`Reading ${name}…`, `Reading ${name}…`);
  at("status").textContent = `Reading ${name}…`;
  document.body.setAttribute("aria-busy", "true");
  try {
    const found = await read(stop.signal);
    if (turn !== reading) return;
    clear(EMPTY);
    clip = found;
    clip.held.forEach((held) => on.add(held));
    const recognised = clip.transcript && clip.transcript !== at("transcript").value.trim();
    at("status").textContent = clip.label ? `Its label in the corpus: ${clip.label}` : recognised ? `Recognised: “${clip.transcript}”` : "";
    await predict();
    // Not before there is an answer to compare others with: the one with everything that the clip has.
    if (turn === reading) drawSwitches();
  } catch (error) {
    if (turn === reading) refuse(where, error.message, name);
  } finally {
    if (turn === reading) document.body.removeAttribute("aria-busy");
  }
}

function refuse(where, why, name) {
  clear(`Nothing to show: ${name} was not taken.`, "Nobody: there is no clip.");
  fault(where, why);
}

async function predict() {
  const turn = ++asked;
  try {
    const said = await call("api/predict", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token: clip.token, available: [...on] }),
    });
    if (turn !== asked) return;
    fault(null);
    if (on.size === clip.held.length) whole = said.probabilities;
    drawBars(said);
    drawNear(said);
    at("said").textContent = `${said.predicted}, ${Math.round(100 * said.probabilities[said.predicted])} %`;
  } catch (error) {
    if (turn !== asked) return;
    at("bars").replaceChildren(make("p", "hint", "No answer for this."));
    at("near").replaceChildren(make("p", "hint", "No answer for this."));
    at("set").hidden = at("legend").hidden = true;
    at("said").textContent = "";
    fault("answer-fault", error.message);
  }
}

function drawSet(said) {
  at("set").hidden = !said.set;
  if (!said.set) return;
  const sure = `Sets made like this hold the true emotion of ${Math.round(100 * said.coverage)} % of clips like those of validation. This one:`;
  const [share, low, high] = (said.covered || []).map((part) => Math.round(100 * part));
  const measured = said.covered ? ` On test clips with as much, such sets held it for ${share} % (${low} to ${high}).` : "";
  const everything = said.set.length === model.labels.length;
  at("set").textContent = everything ? "The model cannot rule any emotion out." : `${sure} ${said.set.join(", ")}.${measured}`;
}

function drawBars(said) {
  drawSet(said);
  const compared = whole !== null && on.size < clip.held.length;
  at("legend").hidden = !compared;
  const rows = model.labels.map((label) => {
    const share = said.probabilities[label];
    let row = at("bars").querySelector(`[data-label="${CSS.escape(label)}"]`);
    if (!row) {
      row = make("div", "bar");
      row.dataset.label = label;
      const track = make("div", "track");
      track.append(make("div", "fill"), make("span", "mark"));
      row.append(make("span", "name", label), track, make("span", "value"));
    }
    row.classList.toggle("best", label === said.predicted);
    row.querySelector(".value").textContent = `${(100 * share).toFixed(1)} %`;
    row.querySelector(".mark").hidden = !compared;
    if (compared) row.querySelector(".mark").style.left = `calc(${100 * whole[label]}% - 1px)`;
    return row;
  });
  if (!at("bars").contains(rows[0])) at("bars").replaceChildren(...rows);
  rows.forEach((row) => { row.querySelector(".fill").style.width = `${100 * said.probabilities[row.dataset.label]}%`; });
}

function drawNear(said) {
  if (!model.retrieves) {
    at("near").replaceChildren(make("p", "hint", `The method ${model.method} retrieves nothing.`));
    return;
  }
  const blocks = said.missing.map((name) => {
    const block = make("div");
    block.dataset.target = name;
    block.append(make("h3", "", `For ${ABSENT[name]}`));
    const near = said.neighbours[name] || [];
    const list = make("ol");
    near.forEach((neighbour) => {
      const line = make("li");
      const label = make("span", neighbour.label ? "label" : "label none", neighbour.label || "no label");
      line.append(make("span", "id", neighbour.id), label, make("span", "score", neighbour.score.toFixed(3).replace(/^-(?=0\.0+$)/, "")));
      list.append(line);
    });
    block.append(near.length ? list : make("p", "hint", "Nobody: there is nothing to search with."));
    return block;
  });
  at("near").replaceChildren(...(blocks.length ? blocks : [make("p", "hint", "Nothing is missing, so nobody stands in.")]));
}

// Words in the field that were of another clip do not stay beside this one.
function turnTo(next, keepsWords) {
  if (!keepsWords || (spokenIn !== null && spokenIn !== next)) at("transcript").value = "";
  subject = next;
  spokenIn = at("transcript").value ? next : null;
  at("read").textContent = file ? "Use these words with the clip" : "Use these words alone";
}

function send(where) {
  const words = at("transcript").value.trim();
  at("pick").value = "";
  const name = file ? file.name : "the words";
  if (file && file.size > model.most_bytes) {
    ++reading;
    stop.abort();
    document.body.removeAttribute("aria-busy");
    refuse(where, `${name} has ${Math.ceil(file.size / 1e6)} MB; at most ${model.most_bytes / 1e6} MB are read`, name);
    return;
  }
  const query = new URLSearchParams();
  if (file) query.set("name", file.name);
  if (words) query.set("transcript", words);
  take((signal) => call(`api/clip?${query}`, {
    method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file || undefined, signal,
  }), name, where);
}

// The player holds the clip on the screen, or nothing.
function play(shown) {
  const player = at("player");
  player.pause();
  if (player.src) URL.revokeObjectURL(player.src);
  player.hidden = !shown;
  if (shown) player.src = URL.createObjectURL(shown);
  else player.removeAttribute("src");
}

function show(dropped) {
  if (!dropped || !model || !model.takes_files) return;
  file = dropped;
  at("file").value = ""; // so that the same file can be chosen again
  at("drop-text").textContent = file.name;
  turnTo(file, true);
  play(file.size > model.most_bytes ? null : file);
  send("drop-fault");
}

function leaveFile() {
  file = null;
  play(null);
  if (model.takes_files) at("drop-text").textContent = "Drop another clip here or choose a file";
}

at("file").onchange = (event) => show(event.target.files[0]);
for (const kind of ["dragover", "dragleave", "drop"]) {
  at("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", kind === "dragover" && Boolean(model) && model.takes_files);
    if (kind === "drop") show(event.dataTransfer.files[0]);
  });
}
at("player").onerror = () => { at("player").hidden = true; };
at("transcript").oninput = () => { spokenIn = subject; };
at("read").onclick = () => {
  if (!file && !at("transcript").value.trim()) {
    fault("words-fault", "Write what is said first.");
    return;
  }
  spokenIn = file || "words";
  turnTo(spokenIn, true);
  send("words-fault");
};
at("pick").onchange = (event) => {
  const id = event.target.value;
  leaveFile();
  turnTo(id || null, false);
  if (id) {
    take((signal) => call(`api/corpus?${new URLSearchParams({ clip: id })}`, { signal }), id, "pick-fault");
    return;
  }
  ++reading;
  stop.abort();
  document.body.removeAttribute("aria-busy");
  fault(null);
  clear(EMPTY);
};
clear(EMPTY);
start().catch((error) => fault("page-fault", error.message));
