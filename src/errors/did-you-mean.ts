/**
 * The candidate that a mistyped word probably means, ignoring case.
 * @returns undefined when no candidate is close: at most one typo for every three letters, and always fewer typos
 * than letters
 */
export function didYouMean(word: string, candidates: Iterable<string>): string | undefined {
  const typed = word.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(typed.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(typed, candidate.toLowerCase());
    if (distance < bestDistance && distance < typed.length) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/**
 * Number of typos between two words: a letter missing, added, replaced, or swapped with its neighbour. This is the
 * optimal string alignment distance, in which a swap counts once, because it is the most common typo.
 */
function editDistance(from: string, to: string): number {
  // Candidates are short; do not compare them with a pasted paragraph.
  if (Math.abs(from.length - to.length) > 8) return Number.POSITIVE_INFINITY;
  let beforePrevious: number[] = [];
  let previous = Array.from({length: to.length + 1}, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      current.push(
        Math.min(
          previous[column]! + 1,
          current[column - 1]! + 1,
          previous[column - 1]! + (same ? 0 : 1),
          swapped ? beforePrevious[column - 2]! + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    [beforePrevious, previous] = [previous, current];
  }
  return previous[to.length]!;
}
