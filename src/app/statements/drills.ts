import {isDrilledInFile, planCompare, planDrill, requireLog} from '../../collections/index.ts';
import {backupRef} from '../../sql/index.ts';
import {requireServer, scratchFolder} from '../orders/scratch.ts';
import {collectionSubject, startOperation} from '../orders/start.ts';
import {withSource} from '../places/source-places.ts';
import {type AtPlace, withVault} from '../places/workplace.ts';
import type {StatementOf, StatementResult} from './result.ts';

type Wish = {level: 'restore' | 'source'; queries: readonly string[]};

/** VERIFY with LEVEL='restore': of the named backup, or of the newest. With LEVEL='source': of the newest. */
export async function drillStatement(
  at: AtPlace,
  statement: StatementOf<'verify'>,
  {level, queries}: Wish,
): Promise<StatementResult> {
  const {deps} = at;
  const {collection, point} = backupRef(statement.backup, deps.nowMicros());
  const {backup, place, isInFile} = await withVault(at, {create: false}, async (vault, place) => {
    const found = await (level === 'restore' ? planDrill : planCompare)(vault, {collection, point});
    return {backup: found, place, isInFile: await isDrilledInFile(vault, {collection, backup: found})};
  });
  // A wrong or missing source is reported at once, and one whose server may not create a database.
  if (level === 'source') {
    await withSource(deps, place, (source) =>
      withVault(at, {create: false}, (vault) => requireLog(vault, source, {collection, backup})),
    );
  }
  const isOfSource = level === 'source';
  if (!isInFile) await withSource(deps, place, (source) => requireServer(source).require({isOfSource}));
  const onServer = isInFile ? {} : ({onServer: true} as const);
  const of = {place, collection, backup, folder: await scratchFolder(deps), ...onServer};
  const operation = await startOperation(
    deps,
    level === 'restore' ? {do: 'drill', ...of, queries} : {do: 'compare', ...of},
    {
      kind: 'verify',
      subject: collectionSubject(collection),
      shared: true,
      statement: statement.text,
      backup: `${collection}/${backup}`,
    },
  );
  return {operation, notices: []};
}
