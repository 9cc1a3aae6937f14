import {randomBytes} from 'node:crypto';
import {join} from 'node:path';
import {compareWithSource, drill, drillBytes} from '../../collections/index.ts';
import {checkFile} from '../../query/index.ts';
import {openSource, type ScratchDatabase, type TableSource} from '../../sources/index.ts';
import {withSource} from '../places/source-places.ts';
import {reportAuthor} from './author.ts';
import {requireServer, scratchId, withScratch} from './scratch.ts';
import type {OrderOf, Run, Work} from './work.ts';

/** Where a backup is restored for a while. */
type Place = Omit<ScratchDatabase, 'name' | 'remove'>;

export const drillCollection: Run<'drill'> = async (work, order) => {
  const {collection, backup, queries} = order;
  return inScratch(work, order, async ({source: scratch, ask, verify}) => {
    const {checkSeconds: seconds} = await work.deps.settings();
    const check = async (sql: string) => ({sql, ...(await ask(sql, {seconds, signal: work.signal}))});
    const tools = {...work, scratch, check, verify, ...reported(work)};
    const {rows, logicalBytes, missing} = await drill(tools, {collection, backup, queries});
    return {
      ...{backup: `${collection}/${backup}`, rows, logicalBytes},
      ...(missing === undefined ? {} : {missing}),
    };
  });
};

export const compareCollection: Run<'compare'> = async (work, order) => {
  const {collection, backup, place} = order;
  return inScratch(work, order, ({source: scratch}) =>
    withSource(work.deps, place, async (source) => {
      const tools = {...work, source, scratch, ...reported(work)};
      const {rows, logicalBytes} = await compareWithSource(tools, {collection, backup});
      return {backup: `${collection}/${backup}`, rows, logicalBytes};
    }),
  );
};

const reported = ({deps, operation}: Work) => ({
  author: reportAuthor(deps, operation),
  random: randomBytes(4).toString('hex'),
});

/** The place exists while `use` runs: a file, or a database on the source's server. */
async function inScratch<T>(
  {deps, vault, notice}: Work,
  {collection, backup, folder, onServer, place}: OrderOf<'drill'> | OrderOf<'compare'>,
  use: (place: Place) => Promise<T>,
): Promise<T> {
  if (onServer) return withSource(deps, place, (source) => onServerOf(source, scratchId(folder), {use, notice}));
  const {selectMebibytes: mebibytes} = await deps.settings();
  const path = join(folder, 'restored.db');
  return withScratch(deps, folder, {
    bytes: await drillBytes(vault, {collection, backup}),
    use: async () =>
      use({
        source: await openSource({scheme: 'sqlite', path}),
        ask: (sql, end) => checkFile(path, sql, {...end, mebibytes}),
        // A restore with the full check runs it.
        verify: async () => ({checked: ["SQLite's integrity_check found no fault in it."], notChecked: []}),
      }),
  });
}

/** Whether the database can be removed says nothing about the backup. */
async function onServerOf<T>(
  source: TableSource,
  id: string,
  {use, notice}: {use: (place: Place) => Promise<T>; notice: (text: string) => void},
): Promise<T> {
  const database = await requireServer(source).create(id);
  try {
    return await use(database);
  } finally {
    await database.remove().catch((error: unknown) => {
      const why = (error as Error).message;
      notice(`the scratch database ${database.name} stays (${why}); the next drill on this server removes it`);
    });
  }
}
