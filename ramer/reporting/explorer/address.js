// What is chosen lives in the address, so that a link opens the same view; what is not named has its first value.

const FIRST = {
  view: "clips", a: data.first[0], b: data.first[1], condition: data.conditions[full], bounds: "", class: "", speaker: "",
  lacks: "", flips: "", outcome: "", clip: "", sort: "clip", down: "", page: "1", space: "", color: "label", fold: "",
};
let chosen = { ...FIRST };

function allowed(key, value) {
  if (key === "a" || key === "b") return methodNumber.has(value);
  if (key === "condition") return data.conditions.includes(value);
  if (key === "class") return value === "" || data.labels.includes(value);
  if (key === "clip") return value === "" || clipNumber.has(value);
  if (key === "view") return VIEWS.some((view) => view.name === value);
  return true;
}

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  chosen = { ...FIRST };
  for (const key of Object.keys(FIRST)) {
    if (given.has(key) && allowed(key, given.get(key))) chosen[key] = given.get(key);
  }
}

function addressOf(change = {}) {
  const next = { ...chosen, ...change };
  const named = Object.entries(next).filter(([key, value]) => value !== FIRST[key]);
  return `#${new URLSearchParams(named)}`;
}

// A filter that changes starts on the first page again; the way back leads through views, not through every choice.
function choose(change, step = false) {
  const address = addressOf("page" in change ? change : { page: FIRST.page, ...change });
  if (step) location.hash = address;
  else {
    history.replaceState(null, "", address);
    show();
  }
}
