import {existsSync} from 'node:fs';
import {placesOf} from '../../app/places/places.ts';
import {withSource} from '../../app/places/source-places.ts';
import {knownSettings, openProfiles} from '../../config/index.ts';
import {type Operation, operationId, operationKinds} from '../../ops/index.ts';
import type {CommandDeps} from '../deps.ts';

/** More candidates are unreadable, and users mostly type the newest. */
const mostOperations = 50;

/** Values by the name of the argument or option that takes them. */
export const knownValues: Readonly<Record<string, (deps: CommandDeps) => Promise<readonly string[]>>> = {
  id: async (deps) => [...(await newest(deps)).map(operationId), 'last'],
  kind: async () => operationKinds,
  collection: collectionNames,
  at: backupNames,
  from: backupNames,
  to: async (deps) => [...(await backupNames(deps)), 'now'],
  table: tableNames,
  // `--profile <profile>`, and what `bkp config profile` calls `<name>`.
  profile: profileNames,
  name: profileNames,
  key: async () => (await knownSettings()).map(({key}) => key),
};

async function profileNames({home}: CommandDeps): Promise<readonly string[]> {
  return (await openProfiles(home)).list();
}

/**
 * The collections with a recent operation. The vault has all collections, but reading it takes too long for a
 * Tab key.
 */
async function collectionNames(deps: CommandDeps): Promise<string[]> {
  const names = (await newest(deps)).map(({subject}) => (subject.kind === 'collection' ? subject.name : undefined));
  return [...new Set(names.filter((name) => name !== undefined))];
}

/** The backups that recent operations took, of all collections. */
async function backupNames(deps: CommandDeps): Promise<string[]> {
  const taken = (await newest(deps)).filter(({kind}) => kind === 'fullbackup' || kind === 'incbackup');
  const names = taken.map(({backup}) => backup?.slice(backup.lastIndexOf('/') + 1));
  return [...new Set(names.filter((name) => name !== undefined))];
}

/** The tables of the source; none if it cannot be read. */
async function tableNames(deps: CommandDeps): Promise<string[]> {
  try {
    const [place] = await placesOf(deps);
    const facts = await withSource(deps, place, (source) => source.describe('all'));
    return facts.map(({name}) => name);
  } catch {
    return [];
  }
}

/** Does not create a journal if there is none. */
async function newest(deps: CommandDeps): Promise<readonly Operation[]> {
  if (!existsSync(deps.home.journalFile)) return [];
  const journal = await deps.journal();
  return (await journal.list({page: 1, pageSize: mostOperations})).operations;
}
