import {BkpError, didYouMean} from '../../../errors/index.ts';
import type {BackupParts, Choice, WantedTable} from '../../source.ts';

/** See `TableSource.choose`. A name without a schema means the table of that name, if there is only one. */
export function chooseTables({schemas, objects}: BackupParts, wanted: readonly WantedTable[]): Choice {
  const names = [...schemas, ...objects].map(({name}) => name);
  const renamed = wanted.find(({as}) => as !== undefined);
  if (renamed !== undefined) {
    throw new BkpError('UNSUPPORTED', `table ${renamed.name} of PostgreSQL comes back under its own name only`, {
      next: 'restore it into another database with --source, and rename it there',
    });
  }
  const chosen = wanted.map(({name}) => found(names, name));
  const twice = chosen.find((name, at) => chosen.indexOf(name) !== at);
  if (twice !== undefined) {
    throw new BkpError('BAD_REQUEST', `table ${twice} is named twice`, {next: 'name it once'});
  }
  const isObject = new Set(objects.map(({name}) => name));
  return {
    tables: chosen.filter((name) => !isObject.has(name)).map((name) => ({name})),
    objects: chosen.filter((name) => isObject.has(name)),
    notices: [],
  };
}

function found(names: readonly string[], wanted: string): string {
  const plain = (name: string) => name.replaceAll('"', '');
  const exact = names.find((name) => name === wanted || plain(name) === wanted);
  if (exact !== undefined) return exact;
  const unqualified = names.filter((name) => plain(name).endsWith(`.${wanted}`));
  if (unqualified.length === 1) return unqualified[0]!;
  if (unqualified.length > 1) {
    throw new BkpError('BAD_REQUEST', `the backup has ${unqualified.join(' and ')}`, {
      next: `write the schema too: TABLE ${unqualified[0]}`,
    });
  }
  const near = didYouMean(wanted, names);
  throw new BkpError('TABLE_NOT_FOUND', `the backup has no table ${wanted}`, {
    next: near === undefined ? `it has ${names.join(', ')}` : `did you mean ${near}?`,
  });
}
