// Risk against coverage: what is wrong among the clips of which a method is surest.

const COVERAGES = [1, 0.9, 0.8, 0.7, 0.6, 0.5];

// Share wrong among the surest 1, 2, ... clips.
function riskCurve(method, condition, rows) {
  const sure = rows.map((clip) => [confidence(method, condition, clip), isRight(method, condition, clip) ? 0 : 1]);
  sure.sort((x, y) => y[0] - x[0]);
  const risks = [];
  let [wrong, start] = [0, 0];
  for (let i = 0; i < sure.length; i += 1) {
    wrong += sure[i][1];
    // Clips of one confidence are taken or left together: which comes first must not decide.
    if (i + 1 === sure.length || sure[i + 1][0] !== sure[i][0]) {
      for (; start <= i; start += 1) risks[start] = wrong / (i + 1);
    }
  }
  return risks;
}

const riskAt = (risks, coverage) => risks[Math.max(0, Math.round(coverage * risks.length) - 1)];
// Sets of classes: how many hold the truth, how many classes they take; null for a method without them.
function setsOf(method, condition, rows) {
  const sizes = rows.map((clip) => setSizes[cell(method, condition, clip)]).filter((size) => size > 0);
  if (!sizes.length) return null;
  const covered = rows.filter((clip) => setCovers[cell(method, condition, clip)]).length;
  const share = (size) => sizes.filter((one) => one === size).length / sizes.length;
  return { covered: covered / sizes.length, mean: sizes.reduce((sum, size) => sum + size, 0) / sizes.length, single: share(1), whole: share(classes) };
}

function setTable(names, rows) {
  const lines = data.conditions.flatMap((condition, c) => names.map((name) => ({ condition, name, sets: setsOf(methodNumber.get(name), c, rows) }))).filter((line) => line.sets);
  if (!lines.length) return null;
  const columns = [
    { name: "available", show: (line) => line.condition }, { name: "method", show: (line) => line.name },
    { name: "hold the truth", number: true, show: (line) => percent(line.sets.covered, 1) },
    { name: "emotions in a set", number: true, show: (line) => line.sets.mean.toFixed(2) },
    { name: "a single one", number: true, show: (line) => percent(line.sets.single) },
    { name: "all of them", number: true, show: (line) => percent(line.sets.whole) },
  ];
  return table(`Sets of emotions that should hold the true one for ${percent(data.coverage)} of clips like those of validation`, columns, lines);
}

const meanRisk = (risks) => risks.reduce((sum, x) => sum + x, 0) / risks.length;

// Seen on white and on dark paper alike; colours of the methods need not be.
const PAIR = ["#0072B2", "#D55E00"];

function riskFigure(curves) {
  const [width, height, left, bottom] = [640, 380, 64, 56];
  const top = Math.max(0.05, ...curves.flatMap(({ risks }) => risks.slice(Math.floor(risks.length / 20))));
  const x = (coverage) => left + coverage * (width - left - 40);
  const y = (risk) => 16 + (1 - Math.min(1, risk / top)) * (height - bottom - 16);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Share wrong over the share of clips that are answered; the table below holds its figures" });
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(drawn("line", { class: "axis", x1: x(0), x2: x(1), y1: y(share * top), y2: y(share * top) }));
    svg.append(drawn("text", { x: left - 8, y: y(share * top) + 5, "text-anchor": "end" }, percent(share * top)));
    svg.append(drawn("text", { x: x(share), y: height - bottom + 22, "text-anchor": "middle" }, percent(share)));
  }
  svg.append(drawn("text", { x: x(0.5), y: height - 8, "text-anchor": "middle" }, "clips answered, the surest first"));
  for (const [i, { name, risks }] of curves.entries()) {
    const path = risks.map((risk, n) => `${n ? "L" : "M"}${x((n + 1) / risks.length).toFixed(1)} ${y(risk).toFixed(1)}`).join("");
    svg.append(drawn("path", { class: "curve", d: path, stroke: PAIR[i], "stroke-dasharray": name === chosen.b ? "7 4" : "none" }));
  }
  return element("figure", {}, svg, element("figcaption", {}, "Share wrong among the clips answered. Dashed: method B."));
}

function showRisk() {
  const condition = data.conditions.indexOf(chosen.condition);
  const rows = population();
  if (!rows.length) return [element("h2", {}, "Risk"), element("p", {}, "No clip fits the filters.")];
  const names = [...new Set([chosen.a, chosen.b])];
  const curveOf = (name, c) => riskCurve(methodNumber.get(name), c, rows);
  const key = names.map((name, i) => element("li", {}, dot(PAIR[i]), ` ${name}`));
  const columns = [
    { name: "available", show: (line) => line.condition }, { name: "method", show: (line) => line.name },
    ...COVERAGES.map((coverage) => ({ name: coverage === 1 ? "all answered" : `${percent(coverage)} answered`, number: true, show: (line) => percent(riskAt(line.risks, coverage), 1) })),
    { name: "mean risk", number: true, show: (line) => percent(meanRisk(line.risks), 1) },
  ];
  const lines = data.conditions.flatMap((name, c) => names.map((method) => ({ condition: name, name: method, risks: curveOf(method, c) })));
  return [element("h2", {}, `Risk against coverage, with ${chosen.condition} available`),
    element("p", {}, `If a method answers only the clips of which it is surest, how many of its answers are wrong? ${rows.length.toLocaleString("en")} clips fit the filters.`),
    element("ul", { className: "key" }, ...key), riskFigure(names.map((name) => ({ name, risks: curveOf(name, condition) }))),
    table("Share wrong among the clips answered, and its mean over all coverages", columns, lines), setTable(names, rows)].filter((part) => part !== null);
}
