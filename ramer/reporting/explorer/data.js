// What the page knows, by clip number, method number and condition number.

const data = JSON.parse(document.getElementById("data").textContent);
const clips = data.ids.length;
const classes = data.labels.length;
const truth = unpack(data.label);
const fold = unpack(data.fold);
const speaker = unpack(data.speaker);
const cluster = unpack(data.cluster);
const lacks = unpack(data.lacks);
const said = unpack(data.answers.said);
const seedsRight = unpack(data.answers.right);
const chances = unpack(data.answers.probabilities);
const setSizes = unpack(data.sets.size);
const setCovers = unpack(data.sets.covered);
const reportDifferences = unpack(data.differences);
const full = data.conditions.length - 1;
const methodNumber = new Map(data.methods.map((method, i) => [method.name, i]));
const clipNumber = new Map(data.ids.map((id, i) => [id, i]));

const cell = (method, condition, clip) => (method * data.conditions.length + condition) * clips + clip;
const prediction = (method, condition, clip) => said[cell(method, condition, clip)];
const isRight = (method, condition, clip) => prediction(method, condition, clip) === truth[clip];
const chance = (method, condition, clip, label) => chances[cell(method, condition, clip) * classes + label] / 255;
const confidence = (method, condition, clip) => chance(method, condition, clip, prediction(method, condition, clip));
const shareRight = (method, condition, clip) => seedsRight[cell(method, condition, clip)] / data.seeds;
const speakerName = (clip) => (speaker[clip] >= 0 && speaker[clip] < data.groups.length ? data.groups[speaker[clip]] : "");
const lackOf = (clip, modality) => data.reasons[lacks[clip * data.modalities.length + modality]];

function lackWords(clip) {
  const found = data.modalities.map((name, i) => [name, lackOf(clip, i)]).filter(([, reason]) => reason !== "held");
  return found.map(([name, reason]) => (reason === "missing" ? name : `${name}: ${reason}`)).join(", ");
}

// The condition that is left when a modality is dropped; -1 where it is not there, or nothing would be left.
function without(condition, letter) {
  const name = data.conditions[condition];
  return name.includes(letter) ? data.conditions.indexOf(name.replace(letter, "")) : -1;
}

// The clips behind a stand-in: number in data.lent.ids and score, best first; none for a method that lends nothing.
const lentArrays = new Map(Object.entries(data.lent.methods).map(([name, held]) => [
  name, { rows: unpack(held.rows), scores: unpack(held.scores), labels: held.labels },
]));

function lenders(name, condition, clip, modality) {
  const held = lentArrays.get(name);
  const start = ((condition * clips + clip) * data.modalities.length + modality) * data.lent.most;
  const found = [];
  for (let i = start; i < start + data.lent.most; i += 1) {
    if (held.rows[i] < data.lent.ids.length) found.push({ number: held.rows[i], score: held.scores[i] / 100 });
  }
  return found;
}
