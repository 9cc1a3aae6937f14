/** What an operation works on. Of the operations that change one subject, at most one is open at a time. */
export type Subject =
  | {kind: 'collection'; name: string}
  /** One whole database; `name` is its source address. */
  | {kind: 'database'; name: string}
  /** All whole databases in a store. */
  | {kind: 'databases'}
  /** Where a whole database is restored: a path. */
  | {kind: 'target'; name: string}
  /** A store that is cleaned up; `name` is its description. */
  | {kind: 'store'; name: string}
  /** Written by another version of bkp; `name` is the journal's whole text. */
  | {kind: 'other'; name: string};

const named = ['collection', 'database', 'target', 'store'] as const;

/** @returns the subject as the journal's column and messages have it: `collection shop`, `databases` */
export function subjectText(subject: Subject): string {
  switch (subject.kind) {
    case 'databases':
      return 'databases';
    case 'other':
      return subject.name;
    default:
      return `${subject.kind} ${subject.name}`;
  }
}

/** Reads what {@link subjectText} returned. */
export function parseSubject(text: string): Subject {
  if (text === 'databases') return {kind: 'databases'};
  const kind = named.find((each) => text.startsWith(`${each} `));
  return kind === undefined ? {kind: 'other', name: text} : {kind, name: text.slice(kind.length + 1)};
}

/** @returns the name alone, as JSON and views print it: the operation's kind shows what it names */
export function subjectName(subject: Subject): string {
  return subject.kind === 'databases' ? 'databases' : subject.name;
}

export function isSameSubject(one: Subject, other: Subject): boolean {
  return subjectText(one) === subjectText(other);
}
