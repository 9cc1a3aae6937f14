import {join} from 'node:path';
import {expect} from 'vitest';
import {openDesk} from '../../helpers/desk.ts';
import type {Cluster} from './cluster.ts';

/** A database of the cluster, as libpq reads it. */
export const addressOf = ({folder, port}: Cluster, database: string, user = 'postgres') =>
  `host=${join(folder, 's')} port=${port} dbname=${database} user=${user}`;

/** A desk whose source is a database of the cluster. */
export function openPostgresDesk(cluster: Cluster, database: string) {
  const desk = openDesk(undefined, {
    BKP_SOURCE: addressOf(cluster, database),
    PATH: `${cluster.clientBin}:${process.env.PATH}`,
  });
  const passed = async (args: readonly string[]) => {
    const result = await desk.bkp(...args);
    expect(result, `${args.join(' ')}\n${result.stdout}${result.stderr}`).toMatchObject({status: 0});
    return result;
  };
  return {
    desk,
    /** Runs bkp, which must succeed. @returns all that it printed */
    done: async (...args: string[]) => {
      const {stdout, stderr} = await passed(args);
      return `${stdout}${stderr}`;
    },
    /** Likewise. @returns what it printed on stdout */
    answer: async (...args: string[]) => (await passed(args)).stdout,
  };
}
