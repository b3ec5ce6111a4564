"use strict";
const NAMES = { audio: "Audio", video: "Face", text: "Words" };
const ABSENT = { audio: "the sound", video: "the face", text: "the words" };
const at = (id) => document.getElementById(id);
let model, clip = null, file = null, asked = 0;
const on = new Set();
let whole = null; // probabilities with everything that the clip has

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text; // never as HTML: ids and labels are other people's
  return node;
}

async function call(path, options) {
  const answer = await fetch(path, options);
  const body = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  if (!answer.ok) throw new Error(body.error || `the server answered ${answer.status}`);
  return body;
}

function tell(text, fault = false) {
  at("status").textContent = text;
  at("status").classList.toggle("fault", fault);
}

async function start() {
  model = await call("api/model");
  const times = model.replicates === 1 ? "1 replicate" : `${model.replicates} replicates`;
  at("model").textContent = `Method ${model.method} · corpus ${model.corpus} · mean of ${times}`;
  if (!model.takes_files) {
    at("drop").classList.add("off");
    for (const id of ["file", "transcript", "read"]) at(id).disabled = true;
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

async function take(read, said) {
  const turn = ++asked;
  tell(said);
  document.body.setAttribute("aria-busy", "true");
  try {
    const found = await read();
    if (turn !== asked) return;
    clip = found;
    on.clear();
    clip.held.forEach((name) => on.add(name));
    whole = null;
    const recognised = clip.transcript && clip.transcript !== at("transcript").value.trim();
    tell(clip.label ? `Its label in the corpus: ${clip.label}` : recognised ? `Recognised: “${clip.transcript}”` : "");
    drawSwitches();
    await predict();
  } catch (error) {
    if (turn === asked) tell(error.message, true);
  } finally {
    document.body.removeAttribute("aria-busy");
  }
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
    if (on.size === clip.held.length) whole = said.probabilities;
    drawBars(said);
    drawNear(said);
  } catch (error) {
    if (turn === asked) tell(error.message, true);
  }
}

function drawSet(said) {
  at("set").hidden = !said.set;
  if (!said.set) return;
  const sure = `For ${Math.round(100 * said.coverage)} % of clips like those that it was validated on, the true emotion is`;
  const everything = said.set.length === model.labels.length;
  at("set").textContent = everything ? "The model cannot rule any emotion out." : `${sure} ${said.set.length > 1 ? "one of: " : ""}${said.set.join(", ")}.`;
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
      line.append(make("span", "id", neighbour.id), label, make("span", "score", neighbour.score.toFixed(3)));
      list.append(line);
    });
    block.append(near.length ? list : make("p", "hint", "Nobody: there is nothing to search with."));
    return block;
  });
  at("near").replaceChildren(...(blocks.length ? blocks : [make("p", "hint", "Nothing is missing, so nobody stands in.")]));
}

function send() {
  const words = at("transcript").value.trim();
  if (!file && !words) return;
  if (file && file.size > model.most_bytes) {
    tell(`${file.name} has ${Math.ceil(file.size / 1e6)} MB; at most ${model.most_bytes / 1e6} MB are read`, true);
    return;
  }
  const query = new URLSearchParams();
  if (file) query.set("name", file.name);
  if (words) query.set("transcript", words);
  at("pick").value = "";
  const said = file ? `Reading ${file.name}…` : "Reading the transcript…";
  take(() => call(`api/clip?${query}`, {
    method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file || undefined,
  }), said);
}

function show(dropped) {
  if (!dropped || !model.takes_files) return;
  file = dropped;
  at("drop").querySelector(".drop-text").textContent = file.name;
  if (at("player").src) URL.revokeObjectURL(at("player").src);
  at("player").src = URL.createObjectURL(file);
  at("player").hidden = false;
  send();
}

at("file").onchange = (event) => show(event.target.files[0]);
for (const kind of ["dragover", "dragleave", "drop"]) {
  at("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", kind === "dragover" && model && model.takes_files);
    if (kind === "drop") show(event.dataTransfer.files[0]);
  });
}
at("player").onerror = () => { at("player").hidden = true; };
at("read").onclick = send;
at("pick").onchange = (event) => {
  const id = event.target.value;
  if (!id) return;
  file = null;
  at("player").hidden = true;
  at("player").pause();
  at("drop").querySelector(".drop-text").textContent = "Drop another clip here or choose a file";
  take(() => call(`api/corpus?${new URLSearchParams({ clip: id })}`), `Reading ${id}…`);
};
start().catch((error) => tell(error.message, true));
