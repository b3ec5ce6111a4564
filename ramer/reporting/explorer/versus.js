// Two methods: where one is right and the other is wrong, with the interval of the difference.

const DRAWS = 1000;

// A small generator with a fixed seed: the same selection always has the same interval.
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
}

// How often each cluster is in each draw; a fold keeps its number of clusters.
function clusterDraws(rows) {
  const place = new Map();
  const folds = new Map();
  for (const clip of rows) {
    if (place.has(cluster[clip])) continue;
    place.set(cluster[clip], place.size);
    if (!folds.has(fold[clip])) folds.set(fold[clip], []);
    folds.get(fold[clip]).push(place.get(cluster[clip]));
  }
  const random = randomNumbers(place.size);
  const draws = Array.from({ length: DRAWS }, () => {
    const times = new Uint16Array(place.size);
    for (const members of folds.values()) {
      for (let i = 0; i < members.length; i += 1) times[members[Math.floor(random() * members.length)]] += 1;
    }
    return times;
  });
  return { place, draws };
}

// Share right of A less that of B, its interval, and how often only one is right; seeds count by their share.
function difference(rows, condition, { place, draws }) {
  const [a, b] = [methodNumber.get(chosen.a), methodNumber.get(chosen.b)];
  const gains = new Float64Array(place.size);
  const sizes = new Float64Array(place.size);
  const found = { rows: rows.length, onlyA: 0, onlyB: 0, value: 0 };
  for (const clip of rows) {
    const [x, y] = [isRight(a, condition, clip), isRight(b, condition, clip)];
    found.onlyA += x && !y ? 1 : 0;
    found.onlyB += y && !x ? 1 : 0;
    gains[place.get(cluster[clip])] += shareRight(a, condition, clip) - shareRight(b, condition, clip);
    sizes[place.get(cluster[clip])] += 1;
  }
  found.value = gains.reduce((sum, x) => sum + x, 0) / Math.max(1, rows.length);
  const drawn = draws.map((times) => {
    let [gain, size] = [0, 0];
    for (let i = 0; i < times.length; i += 1) {
      gain += times[i] * gains[i];
      size += times[i] * sizes[i];
    }
    return size ? gain / size : 0;
  }).sort((x, y) => x - y);
  const tail = (1 - data.confidence) / 2;
  const at = (share) => drawn[Math.min(DRAWS - 1, Math.max(0, Math.round(share * (DRAWS - 1))))];
  return { ...found, low: at(tail), high: at(1 - tail) };
}

function byConditionAndClass() {
  const rows = population();
  const draws = clusterDraws(rows);
  const groups = [["all", rows], ...data.labels.map((label, i) => [label, rows.filter((clip) => truth[clip] === i)])];
  return groups.filter(([, held]) => held.length).map(([label, held]) => (
    { label, rows: held.length, cells: data.conditions.map((_, condition) => difference(held, condition, draws)) }));
}

function versusCell(line, condition) {
  const found = line.cells[condition];
  const clear = found.low > 0 || found.high < 0;
  const only = { condition: data.conditions[condition], class: line.label === "all" ? chosen.class : line.label, view: "clips", page: FIRST.page };
  const way = (outcome, words) => element("a", { href: addressOf({ ...only, outcome }), title: words }, words);
  return element("span", {}, `${points(found.value)}${clear ? " *" : ""}`,
    element("small", {}, `[${points(found.low)}, ${points(found.high)}]`),
    element("small", {}, way("helped", `A ${found.onlyA}`), " · ", way("hurt", `B ${found.onlyB}`)));
}

function versusCsv(lines) {
  const heads = ["class", "rows", "condition", "only A right", "only B right", "difference", "low", "high", "A", "B"];
  return [heads, ...lines.flatMap((line) => line.cells.map((found, c) => [line.label, line.rows, data.conditions[c], found.onlyA, found.onlyB,
    ...[found.value, found.low, found.high].map((x) => fixed(x, 4)), chosen.a, chosen.b]))];
}

function showVersus() {
  const title = element("h2", {}, `${chosen.a} against ${chosen.b}`);
  if (chosen.a === chosen.b) return [title, element("p", {}, "Choose two different methods.")];
  const lines = byConditionAndClass();
  const columns = [
    { name: "true class", show: (line) => line.label }, { name: "clips", number: true, show: (line) => String(line.rows) },
    ...data.conditions.map((name, i) => ({ name, show: (line) => versusCell(line, i) })),
  ];
  const two = data.seeds > 1 ? " The difference counts every seed's answers, the clips are counted by the one answer that the seeds' mean probabilities give: the two need not agree." : "";
  const caption = `Share right of A less that of B in points, mean over seeds, with its ${percent(data.confidence)} interval (${data.unit}s drawn ${DRAWS} times; * spans no 0). ` +
    `Below, clips on which A alone and B alone is right: each opens the list.${two} Filters on class, speaker and lacks hold here.`;
  return [title, ...data.notes.map((note) => element("p", { className: "box" }, note)), reportTable(), table(caption, columns, lines),
    element("div", { className: "bar" }, element("button", { type: "button", id: "csv", onclick: () => offer("versus.csv", versusCsv(lines)) }, "Table as CSV"))];
}

// The report's own measure, over all test rows whatever is filtered.
function reportTable() {
  const [a, b, width] = [methodNumber.get(chosen.a), methodNumber.get(chosen.b), data.columns.length];
  const at = (column) => reportDifferences.subarray(3 * ((a * data.methods.length + b) * width + column)).slice(0, 3);
  const columns = [{ name: "all test rows", show: () => "weighted F1, A − B" }, ...data.columns.map((name, i) => ({
    name, show: () => element("span", {}, points(at(i)[0]), element("small", {}, `[${points(at(i)[1])}, ${points(at(i)[2])}]`)) }))];
  return table("As in the report; not corrected for having chosen this pair among many", columns, [null]);
}
