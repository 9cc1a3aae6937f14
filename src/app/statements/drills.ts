import {planDrill} from '../../collections/index.ts';
import {backupRef} from '../../sql/index.ts';
import {scratchFolder} from '../orders/scratch.ts';
import {collectionSubject, startOperation} from '../orders/start.ts';
import {type AtPlace, withVault} from '../places/workplace.ts';
import type {StatementOf, StatementResult} from './result.ts';

/** VERIFY with LEVEL='restore': of the named backup, or of the newest. */
export async function drillStatement(
  at: AtPlace,
  statement: StatementOf<'verify'>,
  queries: readonly string[],
): Promise<StatementResult> {
  const {deps} = at;
  const {collection, point} = backupRef(statement.backup, deps.nowMicros());
  const {backup, place} = await withVault(at, {create: false}, async (vault, place) => ({
    backup: await planDrill(vault, {collection, point}),
    place,
  }));
  const operation = await startOperation(
    deps,
    {do: 'drill', place, collection, backup, queries, folder: await scratchFolder(deps)},
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
