import type {Mutant} from './mutant.ts';

const contents = 'src/collections/backup/contents.ts';
const required = 'src/collections/restore/require-content.ts';
const content = 'test/collections/restore/content.test.ts';

/** What a backup records of its tables, and what is compared with it. */
export const fingerprintMutants: readonly Mutant[] = [
  {
    name: 'restore: the number of rows is not compared',
    file: required,
    from: 'expected !== undefined && found?.rows !== expected',
    to: 'false',
    killedBy: [content, 'a restore of a backup without fingerprints fails if it has not all rows'],
  },
  {
    name: 'restore: the hash of the values is not compared',
    file: required,
    from: 'found.content.rows !== found.rows || found.content.hash !== table.content.hash',
    to: 'found.content.rows !== found.rows',
    killedBy: [content, 'a restore that loads another value of an increment fails'],
  },
  {
    name: 'restore: the restored rows are not read again',
    file: required,
    from: 'tables.filter(({content}) => content !== undefined)',
    to: 'tables.filter(() => false)',
    killedBy: [content, 'a restore that loads another value of an increment fails'],
  },
  {
    name: 'restore: it is complete without a comparison',
    file: 'src/collections/restore/restore.ts',
    from: 'requireContent(tables, published);',
    to: 'void requireContent;',
    killedBy: [content, 'a restore that loads no changed row of an increment fails'],
  },
  {
    name: 'increment: what it recorded need not follow from the log',
    file: contents,
    from: 'if (isExplained) return;',
    to: 'return;',
    killedBy: [content, 'an increment that misses changes of a table that it takes for unchanged is refused'],
  },
  {
    name: 'increment: an unchanged table may have other values',
    file: contents,
    from: ': now.rows === before.rows && now.hash === before.hash;',
    to: ': now.rows === before.rows;',
    killedBy: [content, 'an increment that misses a changed value of a table that it takes for unchanged is refused'],
  },
  {
    name: 'increment: there may be more new rows than the log has',
    file: contents,
    from: 'now.rows <= before.rows + newest.rows && ',
    to: '',
    killedBy: [content, 'an increment that misses rows is refused when there are more than its log explains'],
  },
  {
    name: 'increment: a table with changes keeps the fingerprint of the parent',
    file: contents,
    from: "standing.get(table) === 'unchanged' ? contentBefore(tools, table) : undefined",
    to: 'contentBefore(tools, table)',
    killedBy: [content, 'an increment that does not read a table with changes records no content of it'],
  },
];
