import {setTimeout as pause} from 'node:timers/promises';
import type {QuestDbServer} from '../test/servers/questdb-server.ts';

const rowsAtOnce = 500;

/** Inserts rows continuously into its own table, each batch when the previous one is acknowledged. */
export function startWriter(server: QuestDbServer) {
  let isStopped = false;
  let acknowledged = 0;
  const startNanos = BigInt(Date.UTC(2026, 5, 1)) * 1_000_000n;
  const write = async () => {
    while (!isStopped) {
      const lines: string[] = [];
      for (let row = acknowledged; row < acknowledged + rowsAtOnce; row++) {
        lines.push(
          `busy,symbol=s${row % 53} price=${row % 997}.25,id=${row}i ${startNanos + BigInt(row) * 1_000_000n}`,
        );
      }
      const response = await fetch(`${server.url}/write`, {method: 'POST', body: `${lines.join('\n')}\n`});
      if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
      await response.arrayBuffer();
      acknowledged += rowsAtOnce;
    }
  };
  const done = write();
  return {
    /** Acknowledged rows per second while `work` runs. */
    rate: async (work: () => Promise<unknown>): Promise<number> => {
      const [rows, started] = [acknowledged, performance.now()];
      await Promise.race([work(), done]);
      return ((acknowledged - rows) * 1000) / (performance.now() - started);
    },
    stop: async () => {
      isStopped = true;
      await done;
    },
  };
}

export type InsertRates = {without: number; during: number};

/** Rows per second: for some seconds before and after, and while `backup` runs. */
export async function insertRates(
  server: QuestDbServer,
  seconds: number,
  backup: () => Promise<unknown>,
): Promise<InsertRates> {
  const writer = startWriter(server);
  try {
    const quiet = () => pause(seconds * 1000);
    // The first seconds create the table and warm up the server.
    await writer.rate(() => pause(3000));
    const before = await writer.rate(quiet);
    const during = await writer.rate(backup);
    const after = await writer.rate(quiet);
    return {without: (before + after) / 2, during};
  } finally {
    await writer.stop();
  }
}
