import {type Depends, dependsOf, type ObjectKey, objectKey} from '../catalog/depends.ts';
import type {Connection} from '../connection/connection.ts';
import type {Entry} from './entries.ts';
import {canBeShared, type Selection, type TableParts} from './select.ts';

/** What is in a backup, and refers to something that a restore would not have when it creates it. */
export type Gap = {
  entry: Entry;
  /** What it needs. */
  missing: ObjectKey;
  /** A restore can do without: it leaves the entry out and names it. */
  isOptional: boolean;
  /** It is in the backup, but created later. */
  isLate: boolean;
};

/** The order in which a restore creates what a backup has. Constraints and indexes come in the order of pg_dump. */
const stageOf: Readonly<Record<keyof TableParts, number>> = {
  create: 1,
  constraints: 2,
  indexes: 2,
  references: 3,
  finish: 4,
};
const steps = Object.keys(stageOf) as (keyof TableParts)[];
const before = 0;
const after = 5;

/**
 * Compares a selection with what the server knows about which object refers to which. pg_dump tells less: nothing about
 * tables that it was not to dump, nor what the index of a constraint needs.
 * @param selectFrom makes the selection; called again with more needs for what could be added to it
 * @param entries all of pg_dump's
 */
export async function closedSelection(
  connection: Connection,
  entries: readonly Entry[],
  selectFrom: (entries: readonly Entry[]) => Selection,
): Promise<{selection: Selection; gaps: readonly Gap[]}> {
  const depends = await dependsOf(connection);
  let known = entries;
  for (;;) {
    const selection = selectFrom(known);
    const found = gapsOf(selection, known, depends);
    const more = new Map<number, number[]>();
    for (const {entry, home} of found) {
      if (home === undefined || !canBeShared(home) || entry.needs.includes(home.id)) continue;
      more.set(entry.id, [...(more.get(entry.id) ?? []), home.id]);
    }
    if (more.size === 0) return {selection, gaps: found.map(({home: _, ...gap}) => gap)};
    known = known.map((entry) => ({...entry, needs: [...entry.needs, ...(more.get(entry.id) ?? [])]}));
  }
}

function gapsOf(
  selection: Selection,
  entries: readonly Entry[],
  {refers, wholeOf, partsOf}: Depends,
): readonly (Gap & {home: Entry | undefined})[] {
  const entryOf = new Map<ObjectKey, Entry>();
  for (const entry of entries) {
    if (entry.classOid !== 0) entryOf.set(keyOf(entry), entry);
  }
  const stages = stagesOf(selection);
  /** Of an object without an entry of its own: what creates it. */
  const homeOf = (key: ObjectKey): ObjectKey => {
    let home = key;
    for (const seen = new Set<ObjectKey>(); !entryOf.has(home) && !seen.has(home); ) {
      seen.add(home);
      home = wholeOf.get(home) ?? home;
    }
    return home;
  };
  /** The object, and what its statement creates with it. */
  const withParts = (key: ObjectKey, found = new Set([key])): ReadonlySet<ObjectKey> => {
    for (const part of partsOf.get(key) ?? []) {
      if (entryOf.has(part) || found.has(part)) continue;
      found.add(part);
      withParts(part, found);
    }
    return found;
  };
  const gaps: (Gap & {home: Entry | undefined})[] = [];
  for (const [key, stage] of stages) {
    const entry = entryOf.get(key)!;
    const own = withParts(key);
    const homes = new Set([...own].flatMap((one) => refers.get(one) ?? []).map(homeOf));
    for (const missing of homes) {
      const home = entryOf.get(missing);
      if (own.has(missing) || isEverywhere(home)) continue;
      const available = stages.get(missing);
      // Keys to tables that are not restored are the restore's to leave out.
      if (stage === stageOf.references || (available !== undefined && available <= stage)) continue;
      gaps.push({entry, missing, home, isOptional: stage >= stageOf.finish, isLate: available !== undefined});
    }
  }
  return gaps;
}

const keyOf = ({classOid, oid}: Entry) => objectKey(classOid, oid);

/** Every new database has it, so pg_dump has no statement that creates it. */
const isEverywhere = (entry: Entry | undefined) => entry?.type === 'SCHEMA' && entry.name === 'public';

/** When a restore creates each object. */
function stagesOf({shared, entangled, parts, after: last}: Selection): ReadonlyMap<ObjectKey, number> {
  const stages = new Map<ObjectKey, number>();
  const add = (entries: readonly Entry[], stage: number) => {
    for (const entry of entries) if (entry.classOid !== 0) stages.set(keyOf(entry), stage);
  };
  add(
    last.map(({entry}) => entry),
    after,
  );
  for (const ofTable of parts.values()) for (const step of steps) add(ofTable[step], stageOf[step]);
  add(shared, before);
  add([...entangled.keys()], stageOf.create);
  return stages;
}
