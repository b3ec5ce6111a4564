// One clip: what every method said, and who lent it what it lacked.

function showClip() {
  const rows = inOrder(clipColumns(), selection());
  const clip = chosen.clip ? clipNumber.get(chosen.clip) : rows[0];
  if (clip === undefined) return [element("h2", {}, "One clip"), element("p", {}, "No clip fits all filters.")];
  const place = rows.indexOf(clip);
  const condition = data.conditions.indexOf(chosen.condition);
  const step = (to, words) => element("button", { type: "button", className: "step", disabled: !rows[to], onclick: () => choose({ clip: data.ids[rows[to]] }) }, words);
  const facts = [`truth: ${data.labels[truth[clip]]}`, speakerName(clip) && `${data.group}: ${speakerName(clip)}`,
    `lacks by nature: ${lackWords(clip) || "nothing"}`].filter(Boolean).join(" · ");
  return [
    element("h2", {}, data.ids[clip]),
    element("p", {}, facts),
    element("div", { className: "bar" }, step(place - 1, "← previous"), step(place + 1, "next →"),
      element("span", { className: "soft" }, place < 0 ? "not in the selection" : `${place + 1} of ${rows.length} in the selection; arrow keys turn`)),
    everyAnswer(clip),
    element("h3", {}, `Every class, with ${chosen.condition} available`),
    element("div", { className: "side" }, ...[...new Set([chosen.a, chosen.b])].map((name) => classChances(name, condition, clip))),
    ...neighbours(condition, clip),
  ];
}

function everyAnswer(clip) {
  const columns = [
    { name: "method", show: (method) => method.name },
    ...data.conditions.map((name, i) => ({ name, show: (method) => answer(methodNumber.get(method.name), i, clip) })),
  ];
  return table("What every method says when only these are available", columns, shownMethods());
}

function classChances(name, condition, clip) {
  const list = element("div", { className: "chances" });
  data.labels.forEach((label, i) => {
    const share = chance(methodNumber.get(name), condition, clip, i);
    const bar = element("i");
    bar.style.width = `${100 * share}%`;
    list.append(element("span", {}, label + (i === truth[clip] ? " (truth)" : "")), element("div", {}, bar), element("span", {}, percent(share)));
  });
  return element("section", {}, element("h3", {}, name), list);
}

function neighbours(condition, clip) {
  const control = data.methods[methodNumber.get(chosen.a)].control;
  const names = [...new Set([chosen.a, control ?? chosen.b, chosen.b])].filter((name) => lentArrays.has(name));
  const title = element("h3", {}, `Who lent what is missing, with ${chosen.condition} available`);
  if (!names.length) return [title, element("p", { className: "soft" }, `Neither ${chosen.a} nor ${chosen.b} takes anything from other clips.`)];
  const parts = names.map((name) => element("section", {}, element("h3", {}, name === control ? `${name}: shuffled or random control` : name), ...lentTables(name, condition, clip)));
  return [title, element("div", { className: "side" }, ...parts)];
}

function lentTables(name, condition, clip) {
  const made = [];
  data.modalities.forEach((modality, i) => {
    const found = lenders(name, condition, clip, i);
    if (!found.length) return;
    const label = (lender) => lentArrays.get(name).labels[data.lent.ids[lender.number]] ?? "";
    const same = (lender) => (label(lender) ? element("span", { className: label(lender) === data.labels[truth[clip]] ? "yes" : "no" }, label(lender)) : "no label");
    const columns = [
      { name: "clip", show: (lender) => data.lent.ids[lender.number] },
      { name: "score", number: true, show: (lender) => fixed(lender.score, 2) },
      { name: "label", show: same },
      { name: data.group, show: (lender) => data.lent.groups[lender.number] },
    ];
    made.push(table(`${modality} from`, columns, found));
  });
  return made.length ? made : [element("p", { className: "soft" }, "Nothing is missing, or nobody was found.")];
}
