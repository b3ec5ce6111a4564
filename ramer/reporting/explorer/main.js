// The views, and the controls above them.

const VIEWS = [
  { name: "clips", title: "Clips", show: showClips },
  { name: "clip", title: "One clip", show: showClip },
  { name: "versus", title: "Two methods", show: showVersus },
  { name: "risk", title: "Risk", show: showRisk },
  { name: "map", title: "Map", show: showMap },
];
const CONTROLS = ["a", "b", "condition", "class", "speaker", "lacks", "flips", "outcome"];

function lackOptions() {
  const held = data.reasons.slice(1).filter((reason) => reason !== "missing");
  const each = data.modalities.flatMap((name) => [[name, name], ...held.map((reason) => [`${name}:${reason}`, `${name}: ${reason}`])]);
  const present = each.filter(([value]) => everyClip.some((clip) => {
    const [name, reason] = value.split(":");
    const found = lackOf(clip, data.modalities.indexOf(name));
    return reason ? found === reason : found !== "held";
  }));
  return [["", "anything or nothing"], ["nothing", "nothing"], ...present];
}

function fill(id, options) {
  const select = document.getElementById(id);
  select.replaceChildren(...options.map(([value, name]) => element("option", { value }, name)));
  select.value = chosen[id];
}

const same = (names) => names.map((name) => [name, name]);

function fillControls() {
  const methods = same(shownMethods().map((method) => method.name));
  fill("a", methods);
  fill("b", methods);
  fill("condition", data.conditions.map((name) => [name, `${name}: ${data.modalities.filter((_, i) => name.includes(data.letters[i])).join(" + ")}`]));
  fill("class", [["", "any"], ...same(data.labels)]);
  fill("speaker", [["", "any"], ...same(data.groups)]);
  fill("lacks", lackOptions());
  fill("flips", [["", "no matter"], ["any", "any of them"], ...data.letters.map((letter, i) => [letter, data.modalities[i]])]);
  fill("outcome", OUTCOMES);
  document.getElementById("bounds").checked = Boolean(chosen.bounds);
  const views = VIEWS.map((view) => element("a", view.name === chosen.view ? { href: addressOf({ view: view.name }), "aria-current": "page" } : { href: addressOf({ view: view.name }) }, view.title));
  document.getElementById("views").replaceChildren(...views);
}

// A redraw replaces what had the focus: it goes back to the control of the same words, so that keys work on.
function show() {
  document.getElementById("left-out").textContent = leftOut(readAddress());
  const focused = document.activeElement;
  const words = focused && document.getElementById("view").contains(focused) ? focused.textContent : null;
  fillControls();
  const view = document.getElementById("view");
  view.replaceChildren(...VIEWS.find((one) => one.name === chosen.view).show());
  if (words !== null) ([...view.querySelectorAll("button, a")].find((one) => one.textContent === words) ?? view).focus();
}

function turn(event) {
  const typing = event.target.closest("select, input");
  if (chosen.view !== "clip" || typing || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  const steps = [...document.querySelectorAll("button.step")];
  steps[event.key === "ArrowLeft" ? 0 : 1]?.click();
}

function start() {
  const sample = data.total > clips ? `A sample of ${clips.toLocaleString("en")} of ${data.total.toLocaleString("en")} test clips` : `All ${clips.toLocaleString("en")} test clips`;
  document.getElementById("what").textContent = `${sample}, ${data.methods.length} methods, seven conditions. ${data.seeds > 1 ? `Probabilities are means over ${data.seeds} seeds, as ramer predict answers. ` : ""}` +
    "The address holds what you chose: copy it to show somebody the same.";
  document.getElementById("group-name").textContent = data.group[0].toUpperCase() + data.group.slice(1);
  for (const id of CONTROLS) document.getElementById(id).addEventListener("change", (event) => choose({ [id]: event.target.value }));
  document.getElementById("bounds").addEventListener("change", (event) => choose({ bounds: event.target.checked ? "1" : "" }));
  document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("controls").addEventListener("reset", (event) => {
    event.preventDefault();
    choose(Object.fromEntries(Object.keys(FIRST).filter((key) => key !== "view").map((key) => [key, FIRST[key]])));
  });
  window.addEventListener("hashchange", show);
  document.addEventListener("keydown", turn);
  show();
}

start();
