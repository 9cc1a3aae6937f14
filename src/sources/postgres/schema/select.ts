import type {Relation} from '../catalog/relations.ts';
import type {Entry} from './entries.ts';
import {isDomainCheck} from './rewrite.ts';

/** What the tables of a collection need, and what belongs to each of them; in the order of creation. */
export type Selection = {
  /** Schemas, extensions, types, functions, …: all that is not a part of one table. */
  shared: readonly Entry[];
  /** By the oid of the table. */
  parts: ReadonlyMap<number, TableParts>;
  /**
   * Views with their rules, triggers, indexes, comments and grants, and what nothing needs: other functions, types,
   * sequences, extensions. In the order of creation.
   */
  after: readonly {view: Entry | undefined; entry: Entry}[];
  /** Not in the backup, because they need tables that are not. */
  without: readonly Entry[];
  /**
   * Those of `shared` that need tables, such as a function with the type of a row as its argument in a default. They
   * are created among the tables, in the order of pg_dump.
   */
  entangled: ReadonlyMap<Entry, Entangled>;
  /** By the oid of a table: other tables without which it cannot be created. */
  needs: ReadonlyMap<number, ReadonlySet<number>>;
};

export type Entangled = {
  /** Oids of the tables that it needs. */
  needs: ReadonlySet<number>;
  /** Oids of the tables with which it comes: those that need it, or the same if none does. */
  by: ReadonlySet<number>;
  isRequired: boolean;
  /** When it is created. */
  position: number;
};

export type TableParts = {
  /** The table with its partitions, columns, defaults, own sequences, statistics, comments. */
  create: readonly Entry[];
  constraints: readonly Entry[];
  /** Those that no constraint makes. */
  indexes: readonly Entry[];
  references: readonly Entry[];
  /** Triggers, rules, policies, grants: what has an effect when rows are written or read. */
  finish: readonly Entry[];
};

const classOfRelations = 1259;

/** How the parts of a table are called. Anything else is shared or of no interest. */
const stepOf: Readonly<Record<string, keyof TableParts>> = {
  TABLE: 'create',
  'TABLE ATTACH': 'create',
  SEQUENCE: 'create',
  'SEQUENCE OWNED BY': 'create',
  DEFAULT: 'create',
  STATISTICS: 'create',
  COMMENT: 'create',
  CONSTRAINT: 'constraints',
  'CHECK CONSTRAINT': 'constraints',
  INDEX: 'indexes',
  'INDEX ATTACH': 'indexes',
  'FK CONSTRAINT': 'references',
  TRIGGER: 'finish',
  RULE: 'finish',
  POLICY: 'finish',
  'ROW SECURITY': 'finish',
  'REPLICA IDENTITY': 'finish',
  ACL: 'finish',
  'SECURITY LABEL': 'finish',
};

/** Their name begins with that of their table. */
const named = new Set(['CONSTRAINT', 'CHECK CONSTRAINT', 'FK CONSTRAINT', 'TRIGGER', 'RULE', 'POLICY', 'DEFAULT']);

/** They read tables, so a restore creates them after these. */
const views = new Set(['VIEW', 'MATERIALIZED VIEW']);
/** Not parts of a database's content; foreign servers have passwords in their user mappings. */
const unwanted = new Set([
  ...['EVENT TRIGGER', 'PUBLICATION', 'PUBLICATION TABLE', 'PUBLICATION TABLES IN SCHEMA', 'SUBSCRIPTION'],
  ...['SUBSCRIPTION TABLE', 'DATABASE', 'DATABASE PROPERTIES', 'LARGE OBJECT', 'BLOB', 'BLOBS', 'FOREIGN TABLE'],
  ...['SERVER', 'USER MAPPING', 'FOREIGN DATA WRAPPER', 'TABLE DATA', 'ENCODING', 'STDSTRINGS', 'SEARCHPATH'],
]);

/**
 * @param relations the tables, and their partitions with the table they belong to
 * @param withViews also all else in the database that needs no other table: views, functions, types
 */
export function select(
  entries: readonly Entry[],
  relations: readonly Pick<Relation, 'oid'>[],
  {rootOf, withViews}: {rootOf: ReadonlyMap<number, number>; withViews: boolean},
): Selection {
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  const tables = new Map<number, number>();
  for (const {id, classOid, oid, type} of entries) {
    const root = rootOf.get(oid) ?? oid;
    if (classOid === classOfRelations && type === 'TABLE' && relations.some((relation) => relation.oid === root)) {
      tables.set(id, root);
    }
  }
  const parts = new Map<number, Record<keyof TableParts, Entry[]>>(
    relations.map(({oid}) => [oid, {create: [], constraints: [], indexes: [], references: [], finish: []}]),
  );
  const partOf = new Map(tables);
  for (const entry of entries) {
    const step = isOwn(entry) ? undefined : stepOf[entry.type];
    // Another table may need one of these: its rows have the type of one of its columns.
    const isOther = entry.type === 'TABLE' && !tables.has(entry.id);
    if (step === undefined || isOther) continue;
    const root = tables.get(entry.id) ?? ownerOf(entry, {partOf, tables, byId});
    if (root === undefined) continue;
    partOf.set(entry.id, root);
    // The comment of an index can only be created after it.
    const after = entry.type === 'COMMENT' && /^(?:INDEX|CONSTRAINT|TRIGGER|RULE|POLICY) /u.test(entry.name);
    parts.get(root)![after ? 'finish' : step].push(entry);
  }
  const present = presentIn(entries, partOf);
  const isView = ({id, type}: Entry) => withViews && views.has(type) && present.has(id);
  const chosenViews = entries.filter(isView);
  const graph = {byId, partOf};
  const byTables = neededBy(partOf.keys(), graph);
  // What only views need can follow the tables, as the views do.
  const needed = new Set(
    [...neededBy([...partOf.keys(), ...chosenViews.map(({id}) => id)], graph)].filter(
      (id) => byTables.has(id) || !needsTable(id, graph),
    ),
  );
  for (const {id, type, needs} of entries) {
    // An expression refers to the function of a cast or to its types, and is written with the cast.
    const known = type === 'CAST' ? needs.filter((need) => byId.has(need)) : [];
    if (known.length > 0 && known.every((need) => needed.has(need) || partOf.has(need))) needed.add(id);
  }
  addChecksOfDomains(entries, needed, graph);
  const shared = entries.filter((entry) => {
    const {id, type, needs} = entry;
    if (partOf.has(id) || views.has(type) || unwanted.has(type) || isOwn(entry)) return false;
    if (needed.has(id)) return true;
    return (type === 'COMMENT' || type === 'ACL') && needs.length > 0 && needs.every((need) => needed.has(need));
  });
  const schemas = new Set([...partOf.keys(), ...needed].map((id) => byId.get(id)!.schema));
  for (const {schema} of chosenViews) schemas.add(schema);
  const folders = entries.filter(({type, name}) => type === 'SCHEMA' && schemas.has(name));
  const viewOf = new Map(chosenViews.map((view) => [view.id, view]));
  for (const {id, type, needs} of entries) {
    const view = needs.map((need) => viewOf.get(need)).find((one) => one !== undefined);
    if (view !== undefined && stepOf[type] !== undefined && !viewOf.has(id) && present.has(id)) viewOf.set(id, view);
  }
  const isTaken = new Set([...partOf.keys(), ...viewOf.keys(), ...[...folders, ...shared].map(({id}) => id)]);
  const others = withViews ? entries.filter((entry) => !isTaken.has(entry.id) && !isOwn(entry)) : [];
  const isAfter = new Set([...viewOf.keys(), ...others.map(({id}) => id).filter((id) => present.has(id))]);
  return {
    shared: [...folders, ...shared.filter((entry) => !folders.includes(entry))],
    parts,
    after: entries.filter(({id}) => isAfter.has(id)).map((entry) => ({view: viewOf.get(entry.id), entry})),
    without: others.filter(({id, type}) => !present.has(id) && type !== 'COMMENT' && isOfItsOwn(type)),
    ...entanglementOf(shared, {parts, graph}),
  };
}

/**
 * pg_dump has the checks of a domain in the statement that creates it, but for those that are not valid for all values:
 * nothing needs these, and they come with their domain.
 */
function addChecksOfDomains(entries: readonly Entry[], needed: Set<number>, graph: Graph): void {
  const checks = entries.filter(({type, sql}) => isDomainCheck({type, sql}));
  for (let before = -1; before !== needed.size; ) {
    before = needed.size;
    for (const {id, needs} of checks) {
      if (!needs.some((need) => needed.has(need) && graph.byId.get(need)?.type === 'DOMAIN')) continue;
      needed.add(id);
      for (const need of neededBy([id], graph)) needed.add(need);
    }
  }
}

/** Neither a table nor a part of one, and a part of a database's content. */
const isOfItsOwn = (type: string) => stepOf[type] === undefined && !unwanted.has(type);

/** Whether it is of a kind that a restore creates before the tables if they need it. */
export const canBeShared = ({type}: Entry) => type === 'SEQUENCE' || (isOfItsOwn(type) && !views.has(type));

/** Ids of what needs no table that is not chosen, and nothing unwanted. */
function presentIn(entries: readonly Entry[], partOf: ReadonlyMap<number, number>): ReadonlySet<number> {
  const present = new Set<number>();
  const known = new Set(entries.map(({id}) => id));
  for (const {id, type, needs} of entries) {
    const isFit =
      type !== 'TABLE' && !unwanted.has(type) && needs.every((need) => present.has(need) || !known.has(need));
    if (partOf.has(id) || isFit) present.add(id);
  }
  return present;
}

/** Change tracking is made by bkp, and not restored. */
const isOwn = ({type, name}: Entry) => type === 'TRIGGER' && / ~bkp_\w(?:_\d+)?$/u.test(name);

type Graph = {byId: ReadonlyMap<number, Entry>; partOf: ReadonlyMap<number, number>};

/** The table that an entry is a part of. A foreign key needs two tables; its name tells which one has it. */
function ownerOf(
  {type, name, schema, needs}: Entry,
  {partOf, tables, byId}: Graph & {tables: ReadonlyMap<number, number>},
): number | undefined {
  if (named.has(type)) {
    const owner = needs.find((id) => {
      const table = byId.get(id);
      return tables.has(id) && table?.schema === schema && name.startsWith(`${table.name} `);
    });
    return owner === undefined ? undefined : tables.get(owner);
  }
  const owner = needs.find((id) => partOf.has(id));
  return owner === undefined ? undefined : partOf.get(owner);
}

function entanglementOf(
  shared: readonly Entry[],
  {parts, graph}: {parts: ReadonlyMap<number, TableParts>; graph: Graph},
): Pick<Selection, 'entangled' | 'needs'> {
  const found = shared.filter(({id}) => needsTable(id, graph));
  const byRoot = new Map([...parts].map(([oid, of]) => [oid, neededBy(idsIn(of), graph)] as const));
  const entangled = new Map(
    found.map((entry) => {
      // A comment, a grant or a cast is for what it needs.
      const of = ['COMMENT', 'ACL', 'CAST'].includes(entry.type) ? entry.needs : [entry.id];
      const by = [...byRoot].flatMap(([oid, needed]) => (of.some((id) => needed.has(id)) ? [oid] : []));
      const needs = tablesFor([entry.id], graph);
      const isRequired = by.length > 0;
      return [
        entry,
        {needs, isRequired, by: isRequired ? new Set(by) : needs, position: placeOf(entry, graph)},
      ] as const;
    }),
  );
  const needs = [...parts].map(([oid, of]) => {
    const tables = new Set(tablesFor(idsIn(of, beforeReferences), graph));
    for (const one of entangled.values()) {
      if (one.isRequired && one.by.has(oid)) for (const table of one.needs) tables.add(table);
    }
    tables.delete(oid);
    return [oid, tables] as const;
  });
  return {entangled, needs: new Map(needs)};
}

/** pg_dump does not know that a table needs a cast, so that comes as early as it can. */
function placeOf({type, needs, position}: Entry, {byId}: Graph): number {
  if (type !== 'CAST') return position;
  return Math.max(...needs.map((need) => byId.get(need)?.position ?? -1)) + 0.5;
}

const beforeReferences: readonly (keyof TableParts)[] = ['create', 'constraints', 'indexes'];
const allSteps: readonly (keyof TableParts)[] = [...beforeReferences, 'references', 'finish'];
const idsIn = (parts: TableParts, steps = allSteps) => steps.flatMap((step) => parts[step].map(({id}) => id));

/** Tables of which entries, or what they need beside tables, need a part. */
function tablesFor(ids: readonly number[], {byId, partOf}: Graph): ReadonlySet<number> {
  const tables = new Set<number>();
  const seen = new Set<number>();
  const visit = (id: number) => {
    if (seen.has(id)) return;
    seen.add(id);
    for (const need of byId.get(id)?.needs ?? []) {
      const table = partOf.get(need);
      if (table === undefined) visit(need);
      else tables.add(table);
    }
  };
  for (const id of ids) visit(id);
  return tables;
}

/** Whether an entry, or what it needs, needs a part of a table. */
function needsTable(id: number, {byId, partOf}: Graph, seen = new Set<number>()): boolean {
  if (seen.has(id)) return false;
  seen.add(id);
  return (byId.get(id)?.needs ?? []).some((need) => partOf.has(need) || needsTable(need, {byId, partOf}, seen));
}

/** What entries need, transitively, except for parts of tables and other tables. */
function neededBy(ids: Iterable<number>, {byId, partOf}: Graph): Set<number> {
  const needed = new Set<number>();
  const visit = (id: number) => {
    for (const need of byId.get(id)?.needs ?? []) {
      const entry = byId.get(need);
      if (entry === undefined || partOf.has(need) || needed.has(need)) continue;
      if (entry.type === 'TABLE' || entry.type === 'FOREIGN TABLE' || views.has(entry.type)) continue;
      // The key of another table, to which a foreign key refers.
      if (stepOf[entry.type] !== undefined && entry.type !== 'SEQUENCE') continue;
      needed.add(need);
      visit(need);
    }
  };
  for (const id of ids) visit(id);
  return needed;
}
