import type {Relation} from '../catalog/relations.ts';
import type {Entry} from './entries.ts';

/** What the tables of a collection need, and what belongs to each of them; in the order of creation. */
export type Selection = {
  /** Schemas, extensions, types, functions, …: all that is not a part of one table. */
  shared: readonly Entry[];
  /** By the oid of the table. */
  parts: ReadonlyMap<number, TableParts>;
  views: readonly Entry[];
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
/** Not parts of a database's content. */
const unwanted = new Set([
  'EVENT TRIGGER',
  'PUBLICATION',
  'PUBLICATION TABLE',
  'SUBSCRIPTION',
  'DATABASE',
  'LARGE OBJECT',
]);

/**
 * @param relations the tables, and their partitions with the table they belong to
 * @param withViews also the views that read nothing but these tables
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
    const root = step === undefined ? undefined : (tables.get(entry.id) ?? ownerOf(entry, {partOf, tables, byId}));
    if (root === undefined) continue;
    partOf.set(entry.id, root);
    // The comment of an index can only be created after it.
    const after = entry.type === 'COMMENT' && /^(?:INDEX|CONSTRAINT|TRIGGER|RULE|POLICY) /u.test(entry.name);
    parts.get(root)![after ? 'finish' : step!].push(entry);
  }
  const needed = neededBy(partOf.keys(), {byId, partOf});
  const chosenViews = withViews ? viewsOver(entries, partOf, needed, byId) : [];
  for (const id of neededBy(
    chosenViews.map(({id: view}) => view),
    {byId, partOf},
  ))
    needed.add(id);
  const isView = new Set(chosenViews.map(({id}) => id));
  const shared = entries.filter((entry) => {
    const {id, type, needs} = entry;
    if (partOf.has(id) || isView.has(id) || unwanted.has(type) || isOwn(entry)) return false;
    if (needed.has(id)) return true;
    return (type === 'COMMENT' || type === 'ACL') && needs.length > 0 && needs.every((need) => needed.has(need));
  });
  const schemas = new Set([...partOf.keys(), ...needed, ...isView].map((id) => byId.get(id)!.schema));
  const folders = entries.filter(({type, name}) => type === 'SCHEMA' && schemas.has(name));
  return {
    shared: [...folders, ...shared.filter((entry) => !folders.includes(entry))],
    parts,
    views: entries.filter(
      ({id, type, needs}) =>
        isView.has(id) ||
        (['COMMENT', 'ACL', 'RULE', 'TRIGGER', 'INDEX'].includes(type) && needs.some((need) => isView.has(need))),
    ),
  };
}

/** Change tracking is made by bkp, and not restored. */
const isOwn = ({type, name}: Entry) => type === 'TRIGGER' && / ~bkp_\w$/u.test(name);

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

/** The views that need no other table than the chosen ones. */
function viewsOver(
  entries: readonly Entry[],
  partOf: ReadonlyMap<number, number>,
  needed: ReadonlySet<number>,
  byId: ReadonlyMap<number, Entry>,
): readonly Entry[] {
  const chosen = new Set<number>();
  for (const entry of entries) {
    if (!views.has(entry.type)) continue;
    const fits = entry.needs.every((need) => {
      const type = byId.get(need)?.type;
      const isRelation = type === 'TABLE' || type === 'FOREIGN TABLE' || (type !== undefined && views.has(type));
      return !isRelation || partOf.has(need) || chosen.has(need) || needed.has(need);
    });
    if (fits) chosen.add(entry.id);
  }
  return entries.filter(({id}) => chosen.has(id));
}
