import {BkpError} from '../../errors/index.ts';
import type {TableSource} from '../../sources/index.ts';
import {quoteName} from '../../sql/index.ts';
import type {BackupName} from '../stored/names.ts';
import type {RestoredParts} from './choice.ts';

/** Statements that people type name no more tables than this. */
const mostNamed = 5;

type Of = {
  collection: string;
  backup: BackupName;
  /** Whether the user named the tables. */
  isChosen: boolean;
  /** What the user named after INTO. */
  into: string | undefined;
};

/** @returns `TABLE_EXISTS` if the target has a table with one of the names, undefined if it has none */
export async function obstacleOf(source: TableSource, parts: RestoredParts, of: Of): Promise<BkpError | undefined> {
  const names = [...parts.tables.map(({chosen}) => chosen.as?.name ?? chosen.name), ...parts.objects.map(nameOf)];
  const facts = await source.describe(names);
  const existing = facts.filter(({state}) => state !== 'absent').map(nameOf);
  if (existing.length === 0) return undefined;
  const missing = names.filter((_, at) => facts[at]?.state === 'absent');
  return new BkpError('TABLE_EXISTS', `path exist: ${existing.map((name) => `/Root/${name}`).join(', ')}`, {
    cause: 'RESTORE creates its tables and changes no existing one; nothing was restored',
    next: nextSteps(parts, {...of, existing, missing}, source.abilities).join('; or '),
  });
}

/** None of them removes anything. */
function nextSteps(
  {tables, objects}: RestoredParts,
  {
    collection,
    backup,
    isChosen,
    into,
    existing,
    missing,
  }: Of & {existing: readonly string[]; missing: readonly string[]},
  {modes, beside}: TableSource['abilities'],
): string[] {
  const statement = (named: readonly string[], target = into) => {
    const list = named.map((name) => `TABLE ${name}`).join(', ');
    const where = target === undefined ? '' : ` INTO ${target}`;
    return `RESTORE ${quoteName(collection)} ${list === '' ? '' : `${list} `}AT '${backup}'${where}`;
  };
  const steps: string[] = [];
  if (!isChosen && missing.length > 0 && missing.length <= mostNamed) {
    steps.push(`restore only what is missing: ${statement(missing.map((name) => quoteName(name)))}`);
  }
  const [only] = existing.length === 1 ? tables.map(({chosen}) => chosen.name) : [];
  if (isChosen && only !== undefined && tables.length === 1) {
    steps.push(`restore a copy beside it: ${statement([`${quoteName(only)} AS ${quoteName(`${only}_restored`)}`])}`);
  }
  if (isChosen && only !== undefined && tables.length === 1 && modes.includes('merge')) {
    steps.push(`bring its lost and changed rows back: ${statement([quoteName(only)])} WITH (MODE='merge')`);
  }
  const again = isChosen && tables.length + objects.length <= mostNamed;
  const named = [...tables.map(({chosen}) => chosen.name), ...objects.map(nameOf)].map((name) => quoteName(name));
  const [place, usual, other] = {
    file: ['a new file', "'./restored.db'", "'./restored-again.db'"],
    schema: ['another schema', "SCHEMA 'restored'", "SCHEMA 'restored_again'"],
  }[beside];
  steps.push(`restore into ${place}: ${statement(again ? named : [], into === usual ? other : usual)}`);
  return steps;
}

/** @returns `TABLE_NOT_FOUND` if the target lacks a table whose rows are to be changed, undefined if it has them all */
export async function mergeObstacle(
  source: TableSource,
  parts: RestoredParts,
  {collection, backup, into}: Pick<Of, 'collection' | 'backup' | 'into'>,
): Promise<BkpError | undefined> {
  const facts = await source.describe(parts.tables.map(({chosen}) => chosen.name));
  const missing = facts.filter(({state}) => state === 'absent').map(({name}) => name);
  if (missing.length === 0) return undefined;
  const named = missing
    .slice(0, mostNamed)
    .map((name) => quoteName(name))
    .join(', ');
  const where = into === undefined ? '' : ` INTO ${into}`;
  return new BkpError('TABLE_NOT_FOUND', `path does not exist: ${missing.map((name) => `/Root/${name}`).join(', ')}`, {
    cause: 'MODE changes the rows of tables that exist',
    next:
      'without MODE a restore creates what is missing: ' +
      `RESTORE ${quoteName(collection)} TABLE ${named} AT '${backup}'${where}`,
  });
}

const nameOf = ({name}: {name: string}) => name;
