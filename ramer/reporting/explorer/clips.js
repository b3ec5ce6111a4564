// The list of clips: what method A, and B beside it, said of each under the seven conditions.

const PAGE = 50;
const pageCount = (rows) => Math.max(1, Math.ceil(rows.length / PAGE));

function clipColumns() {
  const [a, b] = [methodNumber.get(chosen.a), methodNumber.get(chosen.b)];
  const link = (clip) => element("a", { href: addressOf({ view: "clip", clip: data.ids[clip] }) }, data.ids[clip]);
  const both = (condition, clip) => element("span", {}, answer(a, condition, clip),
    a === b ? null : element("small", {}, `B: ${data.labels[prediction(b, condition, clip)]} ${percent(confidence(b, condition, clip))}`));
  return [
    { key: "clip", name: "clip", value: (clip) => data.ids[clip], show: link },
    { key: "truth", name: "truth", value: (clip) => truth[clip], show: (clip) => data.labels[truth[clip]] },
    { key: "speaker", name: data.group, value: speakerName, show: speakerName },
    { key: "lacks", name: "lacks", value: lackWords, show: lackWords },
    { key: "right", name: "A right in", number: true, value: (clip) => conditionsRight(a, clip), show: (clip) => `${conditionsRight(a, clip)} of 7` },
    ...data.conditions.map((name, i) => (
      { key: name, name, value: (clip) => (isRight(a, i, clip) ? 1 : -1) * confidence(a, i, clip), show: (clip) => both(i, clip) })),
  ];
}

const conditionsRight = (method, clip) => data.conditions.filter((_, condition) => isRight(method, condition, clip)).length;

function csvOf(rows) {
  const heads = ["id", "truth", data.group, "lacks"];
  const methods = chosen.a === chosen.b ? [chosen.a] : [chosen.a, chosen.b];
  for (const name of methods) for (const c of data.conditions) heads.push(`${name}/${c}`, `${name}/${c}/probability`);
  const lines = rows.map((clip) => {
    const line = [data.ids[clip], data.labels[truth[clip]], speakerName(clip), lackWords(clip)];
    for (const name of methods) {
      data.conditions.forEach((_, c) => {
        const method = methodNumber.get(name);
        line.push(data.labels[prediction(method, c, clip)], confidence(method, c, clip).toFixed(3));
      });
    }
    return line;
  });
  return [heads, ...lines];
}

function showClips() {
  const columns = clipColumns();
  const rows = inOrder(columns, selection());
  const pages = pageCount(rows);
  const page = Number(chosen.page);
  const turn = (to, words) => element("button", { type: "button", disabled: to < 1 || to > pages, onclick: () => choose({ page: String(to) }) }, words);
  const bar = element("div", { className: "bar" },
    element("strong", { id: "count" }, `${rows.length.toLocaleString("en")} of ${clips.toLocaleString("en")} clips`),
    turn(page - 1, "← previous"), element("span", {}, `page ${page} of ${pages}`), turn(page + 1, "next →"),
    element("button", { type: "button", id: "csv", onclick: () => offer("clips.csv", csvOf(rows)) }, "Selection as CSV"));
  const caption = `What ${chosen.a} says when only these are available (✓ right, ✗ wrong, its probability)` +
    `${chosen.a === chosen.b ? "" : `; below, ${chosen.b}`}. A click on a heading sorts; conditions sort from surely wrong to surely right.`;
  const shown = rows.slice((page - 1) * PAGE, page * PAGE);
  return [element("h2", {}, "Clips"), bar, shown.length ? table(caption, columns, shown, true) : element("p", {}, "No clip fits all filters.")];
}
