import type {Finding} from '../vault/index.ts';

/** A notice names at most this many objects and counts the others. */
const mostNamed = 3;

/** Damage in the store that nothing of what was verified needs. @returns undefined if there is none */
export function unneededNotice(findings: readonly Finding[]): string | undefined {
  if (findings.length === 0) return undefined;
  const more = findings.length - mostNamed;
  const named = findings.slice(0, mostNamed).map(({detail}) => detail);
  return (
    `the store has damage that what was verified does not need: ${named.join('; ')}` +
    `${more > 0 ? `; and ${more} more` : ''}. bkp collection cleanup removes it once no backup needs it, an hour ` +
    'after it was written at the earliest'
  );
}
