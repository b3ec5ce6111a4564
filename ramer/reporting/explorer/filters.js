// Which clips are shown.

const OUTCOMES = [
  ["", "any outcome"], ["helped", "A right, B wrong (helped)"], ["hurt", "A wrong, B right (hurt)"],
  ["right", "both right"], ["wrong", "both wrong"], ["a-wrong", "A wrong"], ["differ", "A and B say different classes"],
];

const outcomeTests = {
  helped: (a, b) => a && !b, hurt: (a, b) => !a && b, right: (a, b) => a && b, wrong: (a, b) => !a && !b, "a-wrong": (a) => !a,
};

// What a clip is: these filters hold in every view.
function fits(clip) {
  if (chosen.class && data.labels[truth[clip]] !== chosen.class) return false;
  if (chosen.speaker && speakerName(clip) !== chosen.speaker) return false;
  if (!chosen.lacks) return true;
  const reasons = data.modalities.map((_, i) => lackOf(clip, i));
  if (chosen.lacks === "nothing") return reasons.every((reason) => reason === "held");
  const [modality, reason] = chosen.lacks.split(":");
  const found = reasons[data.modalities.indexOf(modality)];
  return reason ? found === reason : found !== "held" && found !== undefined;
}

// What methods said of it: these hold where single clips are listed.
function saidFits(clip) {
  const [a, b, condition] = [methodNumber.get(chosen.a), methodNumber.get(chosen.b), data.conditions.indexOf(chosen.condition)];
  if (chosen.flips) {
    const letters = chosen.flips === "any" ? data.letters : [chosen.flips];
    const flips = letters.some((letter) => {
      const left = without(condition, letter);
      return left >= 0 && prediction(a, left, clip) !== prediction(a, condition, clip);
    });
    if (!flips) return false;
  }
  if (chosen.outcome === "differ") return prediction(a, condition, clip) !== prediction(b, condition, clip);
  const test = outcomeTests[chosen.outcome];
  return !test || test(isRight(a, condition, clip), isRight(b, condition, clip));
}

const everyClip = Array.from({ length: clips }, (_, clip) => clip);
const population = () => everyClip.filter(fits);
const selection = () => population().filter(saidFits);
const shownMethods = () => data.methods.filter((m) => chosen.bounds || !m.bound || m.name === chosen.a || m.name === chosen.b);
