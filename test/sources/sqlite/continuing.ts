import {systemProcesses} from '../../../src/lib/processes.ts';
import type {Staging} from '../../../src/sources/index.ts';
import {SqliteSource} from '../../../src/sources/sqlite/index.ts';
import {type Backup, basesOf} from '../layers.ts';

/** What a restore does after it loaded the records. */
export type Step = (staging: Staging) => Promise<number>;

export function stepsOf(backup: Backup): Step[] {
  return Object.entries(backup.layers).flatMap(([name, layers]) =>
    layers.flatMap((layer): Step[] => {
      if (layer.kind === 'delta') {
        return [
          ...layer.keys.map(
            ({bytes}): Step =>
              (staging) =>
                staging.removeKeys(name, bytes),
          ),
          ...layer.rows.map(
            ({bytes}): Step =>
              (staging) =>
                staging.load(name, bytes),
          ),
        ];
      }
      if (layer.form === 'records') return [];
      return layer.segments.map(
        ({bytes}): Step =>
          (staging) =>
            staging.load(name, bytes),
      );
    }),
  );
}

/** Another process, to which every other one has ended. */
const others = {...systemProcesses, fateOf: () => 'gone' as const, self: () => systemProcesses.self()};

/** Begins a restore, or continues one. */
export async function begin(path: string, id: string, backup: Backup, checkpointBytes: number): Promise<Staging> {
  const source = new SqliteSource(path, {processes: others, checkpointBytes});
  return source.stage(backup.schemas, {id, database: backup.database, bases: basesOf(backup), plan: 'plan'});
}

/** @returns how many trees were loaded */
export async function loadBases(staging: Staging, backup: Backup): Promise<number> {
  let loaded = 0;
  for (const [name, [base]] of Object.entries(backup.layers)) {
    if (base?.kind !== 'base' || base.form !== 'records') continue;
    for (const {segments, cuts: _, ...tree} of base.trees) {
      if (!staging.wanted(name).some((wanted) => wanted.name === tree.name)) continue;
      const stored = {...tree, records: segments.reduce((sum, {rows}) => sum + rows, 0)};
      const present = staging.present!(stored);
      if (present === 'all') continue;
      loaded++;
      const rest = segments.slice(present.chunks).map(({bytes}) => bytes);
      await staging.loadTree(
        name,
        stored,
        (async function* () {
          yield* rest;
        })(),
      );
    }
  }
  return loaded;
}
