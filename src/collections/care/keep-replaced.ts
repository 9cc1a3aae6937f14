import {isInForce, type WorkTools} from '../../backups/index.ts';
import {secondsText} from '../../lib/time.ts';
import {isSameFile, type TableSource} from '../../sources/index.ts';
import {quoteName} from '../../sql/index.ts';
import type {Vault} from '../../vault/index.ts';
import {newestBackup, presentDatabase} from '../backup/belongs.ts';
import {requireCollection} from '../stored/folder.ts';
import {pinBackup} from './pin.ts';

const keptDays = 30;

/**
 * An application that finds no file makes an empty database in its place. Full backups of it follow each other, and the
 * KEEP_… settings would remove the last one of the database that was lost. So that one is pinned before the first full
 * backup of another database is taken.
 */
export async function keepReplaced(
  tools: Pick<WorkTools, 'nowMicros' | 'notice'> & {vault: Vault; source: TableSource},
  collection: string,
): Promise<void> {
  const {vault, source, nowMicros} = tools;
  const {definition, backups, pins} = await requireCollection(vault, collection, {recent: true});
  const newest = await newestBackup(vault, collection, backups);
  const known = newest?.body.source;
  if (newest === undefined || known?.identity === undefined) return;
  const now = await presentDatabase(source);
  if (now.identity === known.identity || (await now.tracks(definition.id))) return;
  // The identity goes when nothing is tracked any more.
  if (known.origin !== undefined && now.origin !== undefined && isSameFile(known.origin, now.origin)) return;
  const {backup} = newest.body;
  const pin = pins.get(backup);
  if (pin !== undefined && isInForce(pin, nowMicros() / 1000)) return;
  const until = secondsText(nowMicros() + keptDays * 86_400e6);
  await pinBackup(
    {vault, nowMicros},
    {collection, point: backup, until, reason: 'the newest backup of a database that another one replaced'},
  );
  const unpin = `UNPIN BACKUP ${quoteName(collection)} AT '${backup}'`;
  tools.notice(
    `another database has replaced the one of ${backup}, which is pinned until ${until}; ${unpin} ends that`,
  );
}
