// Blind trials as data: what is behind the letters, what was chosen, and what chance would do.

/** `count` trials, in each of which the letters A and B stand for the two candidates in random order. */
export function makeTrials(count, random = () => crypto.getRandomValues(new Uint8Array(1))[0] & 1) {
  return Array.from({ length: count }, () => ({ order: random() ? [1, 0] : [0, 1], chosen: null }));
}

/** How often the second candidate was chosen. */
export function countSecond(trials) {
  return trials.filter((trial) => trial.chosen === 1).length;
}

/** Two-sided binomial p at a half: how likely chance alone is as uneven as `hits` of `count`. */
export function binomialP(hits, count) {
  const most = Math.max(hits, count - hits);
  let ways = 1; // of `count` over k, from k = 0
  let tail = 0;
  for (let k = 0; k <= count; k++) {
    if (k >= most) tail += ways;
    ways = (ways * (count - k)) / (k + 1);
  }
  return Math.min(1, (2 * tail) / 2 ** count);
}

/** The outcome in words; `names` are those of the two candidates. */
export function verdict(trials, names, anchor) {
  const hits = countSecond(trials);
  const p = binomialP(hits, trials.length);
  const chance = `chance alone is as uneven in ${p >= 0.1 ? Math.round(100 * p) : (100 * p).toPrecision(2)} % of tests (binomial p = ${p.toFixed(3)})`;
  const said = `You chose ${names[1]} as nearer to ${anchor} in ${hits} of ${trials.length} trials; ${chance}.`;
  if (p > 0.05) return `${said} That shows no difference that you can rely on.`;
  return `${said} ${names[hits * 2 > trials.length ? 1 : 0]} is nearer, to your ears.`;
}
