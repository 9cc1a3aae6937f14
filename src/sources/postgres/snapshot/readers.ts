import {BkpError} from '../../../errors/index.ts';
import type {Relation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {fixSettings} from '../connection/session.ts';
import {lockText} from './from.ts';

export type ReaderOptions = {
  /** How many. */
  connections: number;
  connect: () => Promise<Connection>;
  relations: readonly Relation[];
  lockTimeoutSeconds: number;
};

/**
 * Opens connections that read the snapshot of the leader, as many of them as can be had; without any, the leader reads
 * alone.
 */
export async function openReaders(leader: Connection, options: ReaderOptions): Promise<readonly Connection[]> {
  if (options.connections === 1) return [leader];
  const readers = await openOthers(leader, {...options, mode: 'READ ONLY'});
  return readers.length === 0 ? [leader] : readers;
}

/**
 * The leader, and others that see its snapshot and may create temporary tables, as many of them as can be had.
 */
export async function openBeside(leader: Connection, options: ReaderOptions): Promise<readonly Connection[]> {
  const connections = options.connections - 1;
  if (connections < 1) return [leader];
  return [leader, ...(await openOthers(leader, {...options, connections, mode: 'READ WRITE'}))];
}

/**
 * Opens connections that see the snapshot of the leader, which keeps it for them. They lock all tables at once: behind
 * a statement that waits for the leader's locks, they would wait for ever, and so would the backup.
 * @returns those that can be had
 */
async function openOthers(
  leader: Connection,
  {connections, connect, relations, lockTimeoutSeconds, mode}: ReaderOptions & {mode: 'READ ONLY' | 'READ WRITE'},
): Promise<readonly Connection[]> {
  const id = (await leader.value('SELECT pg_catalog.pg_export_snapshot()'))!;
  const open = async () => {
    const reader = await connect();
    try {
      await reader.run(`BEGIN ISOLATION LEVEL REPEATABLE READ ${mode}; SET TRANSACTION SNAPSHOT '${id}'`);
      await fixSettings(reader, {lockTimeoutSeconds});
      await reader.run(`${lockText(relations)} NOWAIT`);
      return reader;
    } catch (error) {
      await reader.close();
      throw error;
    }
  };
  const opened = await Promise.allSettled(Array.from({length: connections}, open));
  const readers = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const faults = opened.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
  const ours = faults.find((fault) => !(fault instanceof BkpError) || fault.code === 'INTERNAL');
  if (ours === undefined) return readers;
  for (const reader of readers) await reader.close();
  throw ours;
}
