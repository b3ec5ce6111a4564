// What is chosen lives in the address, so that a link opens the same view; what is not named has its first value.

const FIRST = {
  view: "clips", a: data.first[0], b: data.first[1], condition: data.conditions[full], bounds: "", class: "", speaker: "",
  lacks: "", flips: "", outcome: "", clip: "", sort: "clip", down: "", page: "1", space: "", color: "label", fold: "",
};
let chosen = { ...FIRST };

// Of every key: what a link names by it, and the values that there are beside its first one.
const KNOWN = {
  view: ["view", () => VIEWS.map((view) => view.name)],
  a: ["method", () => [...methodNumber.keys()]],
  b: ["method", () => [...methodNumber.keys()]],
  condition: ["condition", () => data.conditions],
  bounds: ["choice of controls", () => ["1"]],
  class: ["class", () => data.labels],
  speaker: [data.group, () => data.groups],
  lacks: ["missing modality", () => lackOptions().map(([value]) => value)],
  flips: ["dropped modality", () => ["any", ...data.letters]],
  outcome: ["outcome", () => OUTCOMES.map(([value]) => value)],
  clip: ["clip", () => data.ids],
  sort: ["column", () => clipColumns().map((column) => column.key)],
  down: ["order", () => ["1"]],
  page: ["page", () => Array.from({ length: pageCount(selection()) }, (_, i) => String(i + 1))],
  space: ["modality", () => [...spaces.keys()]],
  color: ["colouring", () => COLORINGS.map(([value]) => value)],
  fold: ["fold", () => foldNames],
};

// What the address names that is not here, in words; it is left out. Pages come after the filters that they depend on.
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const strange = [...new Set(given.keys())].filter((key) => !Object.hasOwn(KNOWN, key)).map((key) => ["setting", key]);
  chosen = { ...FIRST };
  for (const key of Object.keys(FIRST)) {
    const [words, values] = KNOWN[key];
    const value = given.get(key) ?? FIRST[key];
    if (value === FIRST[key] || values().includes(value)) chosen[key] = value;
    else strange.push([words, value]);
  }
  return strange.map(([words, value]) => `the ${words} “${value.length > 60 ? `${value.slice(0, 59)}…` : value}”`);
}

// One line, or nothing.
function leftOut(strange) {
  if (!strange.length) return "";
  if (strange.length === 1) return `This link names ${strange[0]}, which is not here: it is left out.`;
  return `This link names ${strange.slice(0, -1).join(", ")} and ${strange.at(-1)}, which are not here: they are left out.`;
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
