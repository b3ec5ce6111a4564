// A map of the hidden states: two directions of each modality's states, a dot for every clip.

const NOWHERE = -32768;
const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#7733FF", "#DD0044", "#8877FF", "#447777", "#DD00BB", "#447744"];
const COLORINGS = [["label", "true class"], ["error", "A right or wrong"], ["lacks", "availability"]];
const SHAPES = ["circle", "square", "triangle", "diamond", "cross"];
const spaces = new Map(Object.entries(data.map).map(([name, held]) => [name, unpack(held)]));
const foldNames = [...new Set(fold)].sort((x, y) => x - y).map(String);

// Colour and shape together tell classes apart: more of them than there are colours, and for those who see few.
function mark(kind, x, y, color) {
  const r = 5;
  const paths = {
    circle: `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
    square: `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
    triangle: `M${x} ${y - r}l${r} ${2 * r}h${-2 * r}z`,
    diamond: `M${x} ${y - 1.3 * r}l${r} ${1.3 * r}l${-r} ${1.3 * r}l${-r} ${-1.3 * r}z`,
    cross: `M${x - r} ${y - r}l${2 * r} ${2 * r}M${x + r} ${y - r}l${-2 * r} ${2 * r}`,
  };
  return drawn("path", { d: paths[kind], fill: kind === "cross" ? "none" : color, stroke: color, "stroke-width": kind === "cross" ? 2.5 : 0 });
}

const dot = (color, kind = "circle") => drawn("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" }, mark(kind, 7, 7, color));

// For each way of colouring: the values there are, and the one that a clip has.
function coloring() {
  const [a, condition] = [methodNumber.get(chosen.a), data.conditions.indexOf(chosen.condition)];
  if (chosen.color === "error") return { names: ["A right", "A wrong"], of: (clip) => (isRight(a, condition, clip) ? 0 : 1), shape: (i) => (i ? "cross" : "circle") };
  if (chosen.color === "lacks") {
    const names = ["lacks nothing", "lacks something"];
    return { names, of: (clip) => (lackWords(clip) ? 1 : 0), shape: (i) => (i ? "diamond" : "circle") };
  }
  return { names: data.labels, of: (clip) => truth[clip], shape: (i) => SHAPES[i % SHAPES.length] };
}

function mapFigure(space, rows, colors) {
  const [width, height, edge] = [640, 480, 20];
  const at = spaces.get(space);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Map of the ${space} states; the list of clips holds the same clips` });
  for (const clip of rows) {
    const x = Math.round(edge + (at[2 * clip] / 64000 + 0.5) * (width - 2 * edge));
    const y = Math.round(edge + (0.5 - at[2 * clip + 1] / 64000) * (height - 2 * edge));
    const value = colors.of(clip);
    const made = mark(colors.shape(value), x, y, COLORS[value % COLORS.length]);
    made.classList.add("dot");
    made.append(drawn("title", {}, `${data.ids[clip]}: ${data.labels[truth[clip]]}`));
    made.addEventListener("click", () => choose({ view: "clip", clip: data.ids[clip] }, true));
    svg.append(made);
    if (data.ids[clip] === chosen.clip) svg.append(drawn("circle", { class: "ring", cx: x, cy: y, r: 9 }));
  }
  return svg;
}

function picker(words, key, options) {
  const select = element("select", { id: key, onchange: (event) => choose({ [key]: event.target.value }) }, ...options.map(([value, name]) => element("option", { value }, name)));
  select.value = chosen[key] || options[0][0];
  return element("label", {}, words, select);
}

function showMap() {
  const title = element("h2", {}, "Map of the hidden states");
  if (!spaces.size) return [title, element("p", {}, "The states were not kept, so there is no map.")];
  const space = chosen.space || [...spaces.keys()][0];
  const shownFold = chosen.fold || foldNames[0];
  const at = spaces.get(space);
  const rows = selection().filter((clip) => String(fold[clip]) === shownFold && at[2 * clip] !== NOWHERE);
  const colors = coloring();
  const key = colors.names.map((name, i) => element("li", {}, dot(COLORS[i % COLORS.length], colors.shape(i)), ` ${name}`));
  const bar = element("div", { className: "bar" }, picker("States of", "space", [...spaces.keys()].map((name) => [name, name])),
    picker("Coloured by", "color", COLORINGS),
    foldNames.length > 1 ? picker("Fold", "fold", foldNames.map((name) => [name, name])) : null);
  return [title, bar, element("ul", { className: "key" }, ...key), element("figure", {}, mapFigure(space, rows, colors),
    element("figcaption", {}, `${rows.length.toLocaleString("en")} clips of the selection that hold ${space}: the two directions in which the encoder's states (first seed, length 1) differ most. A click opens the clip.`))];
}
