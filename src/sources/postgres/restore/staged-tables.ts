import {createHash} from 'node:crypto';
import type {DatabaseFacts, MergeMode, SchemaObject, TableName, TableSchema} from '../../source.ts';
import {isSameLocale, localeOf} from '../catalog/locale.ts';
import {onlyOf} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {qualified, unquoted} from '../connection/quote.ts';
import {fixSettings} from '../connection/session.ts';
import {LookingFunctions} from '../schema/looking-functions.ts';
import {type Moves, movedKeys, moveKey, rewrite} from '../schema/rewrite.ts';
import {tokensOf} from '../schema/tokens.ts';
import {referredBy} from './build.ts';
import {
  addChecks,
  additionOf,
  type BrokenCheck,
  type Check,
  checksOf,
  checkValidation,
  createChecks,
  dropOf,
  kindOf,
  recordCheck,
  recordedChecks,
} from './checks.ts';
import {type Continued, continueStaging, recordPlan} from './continued.ts';
import {domainsIn, dropDomainChecks, ownerOfCheck} from './domain-checks.ts';
import {dropExpression} from './drop-expression.ts';
import {typesThatHold} from './held-domains.ts';
import {generatedColumns, keepLate} from './late-rows.ts';
import {createLater, recordLater, runOrLeave} from './later.ts';
import {LeftOut} from './left-out.ts';
import {join, leave, livingParents} from './living-parents.ts';
import {madeIn, recordMade} from './made.ts';
import {apartFrom} from './needed-tables.ts';
import {olderNotice, olderServer, refusedByOlder} from './older-server.ts';
import {createLocale, dividedByLocale, localeColumns, refusedByLocale} from './other-locale.ts';
import {requireSameTypes} from './present-types.ts';
import {type Limits, newNames, type PublishOptions, type TableStatement} from './publish.ts';
import {callOwnFunctions} from './refused-rows.ts';
import {closeRests, openRests} from './rest-partitions.ts';
import {createShared, neededShared, setSequence, withPresent} from './shared.ts';
import {
  creationOf,
  inOrder,
  isBeforeTables,
  isPrimaryKey,
  isTableOf,
  pairOf,
  type SharedObject,
  type StoredTable,
  searchPathOf,
  sharedObjects,
  storedAfter,
  storedTables,
} from './stored.ts';
import {stagedName, stagedOids, storedColumns, TableLoad} from './table-load.ts';

/** The schemas of one staging begin with this. */
export function stagingPrefix(id: string): string {
  return `_bkp_stage_${createHash('sha256').update(id).digest('hex').slice(0, 12)}_`;
}

export type StagedTablesInput = {
  id: string;
  schemas: readonly TableSchema[];
  /** The same tables under the names under which they are published, in the same order. */
  published: readonly TableSchema[];
  objects: readonly SchemaObject[];
  database: DatabaseFacts;
  /** Absent: the tables are new. */
  mode?: MergeMode | undefined;
  /** Present if another staging of the same plan may continue this one. */
  plan?: string | undefined;
};

type CreateLimits = Partial<Limits> & Pick<Limits, 'lockTimeoutSeconds'>;

/**
 * Tables in schemas of their own: what is created there, in which order, and what has to wait until the tables have
 * their names.
 */
export class StagedTables {
  readonly tables: ReadonlyMap<TableName, StoredTable>;
  /** Under the names under which they are published. */
  readonly targets: readonly StoredTable[];
  /** What is created after the tables. */
  readonly after: readonly SharedObject[];
  readonly prefix: string;
  readonly moves: Moves;
  readonly loads: ReadonlyMap<TableName, TableLoad>;
  /** Notices of the time before anybody listens. */
  readonly told: string[] = [];
  /** Checks that not all rows meet, and that hold for new rows. */
  readonly #broken: BrokenCheck[] = [];
  readonly #connection: Connection;
  readonly #mode: MergeMode | undefined;
  readonly #plan: string | undefined;
  /** What is created before and among the tables. */
  readonly #shared: readonly SharedObject[];
  readonly searchPath: string | undefined;
  readonly #older: ReturnType<typeof olderServer>;
  readonly #locale: DatabaseFacts[string] | undefined;
  /** That of the backup, if the target has another one. */
  #otherLocale: string | undefined;
  /** Those that what is created with the tables may call. */
  #looking: LookingFunctions | undefined;

  constructor(connection: Connection, {id, schemas, published, objects, database, mode, plan}: StagedTablesInput) {
    this.#connection = connection;
    this.#mode = mode;
    this.#plan = plan;
    this.searchPath = searchPathOf(database);
    this.#older = olderServer(connection, database);
    this.#locale = database.locale;
    const tables = storedTables(schemas);
    this.tables = new Map(tables.map((table) => [table.name, table]));
    this.targets = storedTables(published);
    this.after = storedAfter(objects);
    this.#shared = sharedOf(database, this.targets, this.after);
    this.prefix = stagingPrefix(id);
    const own = [...new Set(tables.flatMap(({relations}) => relations.map((relation) => pairOf(relation)[0])))];
    this.moves = new Map(
      tables.flatMap((table) =>
        table.relations.flatMap((relation) => {
          const [schema, name] = pairOf(relation);
          const moved = `${this.prefix}${own.indexOf(schema)}`;
          // Rows for living tables have values of the row types of these.
          const isTable = mode === undefined && isTableOf(table, relation);
          return movedKeys(schema, name, {isTable}).map((key) => [key, moved] as const);
        }),
      ),
    );
    this.loads = new Map(tables.map((table) => [table.name, new TableLoad(table, this.moves)]));
    for (const [name, others] of apartFrom(tables)) {
      this.loads.get(name)!.apart = new Set([...others].map((other) => this.loads.get(other)!));
    }
  }

  /** It exists also if there are no tables. */
  get firstSchema(): string {
    return `${this.prefix}0`;
  }

  /** Creates the empty tables, and what they need, in a transaction of the caller. */
  async create(limits: CreateLimits = {lockTimeoutSeconds: 30}): Promise<void> {
    const locale = await this.#tellLocale();
    const older = this.#older;
    if (older !== undefined) this.told.push(olderNotice(older));
    await this.#create(limits).catch((error: unknown) => {
      const of = older === undefined ? error : refusedByOlder(error, older);
      throw locale === undefined ? of : refusedByLocale(of, locale, String(this.#otherLocale));
    });
  }

  /** What the server computes again may be other than it was. */
  async #tellLocale(): Promise<string | undefined> {
    const locale = await this.#readLocale();
    if (locale === undefined) return undefined;
    this.told.push(
      `the database orders texts as in ${locale}, that of the backup as in ${this.#otherLocale}: what checks and ` +
        'keys of partitions compute from texts may differ, and what is generated for new rows',
    );
    return locale;
  }

  /** @returns that of the target, if it is another one than that of the backup */
  async #readLocale(): Promise<string | undefined> {
    if (typeof this.#locale !== 'string' || this.#mode !== undefined) return undefined;
    const locale = await localeOf(this.#connection);
    if (isSameLocale(locale, this.#locale)) return undefined;
    this.#otherLocale = this.#locale;
    return locale;
  }

  async #create(limits: CreateLimits): Promise<void> {
    const connection = this.#connection;
    await fixSettings(connection, limits);
    await connection.run('SET LOCAL check_function_bodies = off; SET LOCAL client_min_messages = error');
    const leftOut = new LeftOut((text) => this.told.push(text));
    const present = new Set<string>();
    const drops: string[] = [];
    const createObjects = async (objects: readonly SharedObject[]) =>
      drops.push(
        ...(await createShared(connection, objects, {leftOut, moves: this.moves, present}).catch((error) =>
          Promise.reject(withPresent(error, present)),
        )),
      );
    // The living tables have what they need.
    if (this.#mode === undefined) await createObjects(this.#shared.filter(isBeforeTables));
    const schemas = new Set([this.firstSchema, ...this.moves.values()]);
    await connection.run([...schemas].map((name) => `CREATE SCHEMA ${name}`).join('; '));
    await createLater(connection, this.firstSchema);
    await createChecks(connection, this.firstSchema);
    await this.#readLooking();
    const creation = creationOf([...this.tables.values()], this.#mode === undefined ? this.#shared : []);
    const create = async () => {
      for (const one of creation) {
        if ('type' in one) await createObjects([one]);
        else await connection.run(this.staged(one.sql)).catch((error) => Promise.reject(withPresent(error, present)));
      }
      // Functions may have come among the tables.
      if (creation.some((one) => 'type' in one)) await this.#readLooking();
      await this.#looking?.readDepends(connection);
      const domains = domainsIn(drops);
      const oids = await this.#oids();
      await requireSameTypes(connection, this.#shared, oids);
      await this.#leaveLivingParents(oids);
      await this.#dropChecks(oids);
      await this.#keepLate(oids, domains);
      await this.#dropDomainChecks(oids, domains);
      for (const [name, {late}] of this.loads) if (late === undefined) await openRests(connection, this.#rests(name));
    };
    await (this.#looking === undefined ? create() : this.#looking.withoutExpanding(connection, create));
    leftOut.end();
    await recordMade(connection, this.firstSchema, drops);
    if (this.#plan !== undefined) await recordPlan(connection, this.firstSchema, {plan: this.#plan, told: this.told});
  }

  /** What an interrupted staging of the same plan left. */
  async findLeft(): Promise<Continued | undefined> {
    if (this.#plan === undefined) return undefined;
    const names = new Map(
      [...this.loads].map(([name, load], at) => {
        return [name, {staged: load.name, keep: this.#lateName(at), only: onlyOf(load.table.kind)}] as const;
      }),
    );
    return continueStaging(this.#connection, {prefix: this.prefix, plan: this.#plan, names});
  }

  /** Takes over the tables that an interrupted staging created, instead of {@link create}. */
  async takeOver({told, done}: Continued): Promise<void> {
    await fixSettings(this.#connection, {lockTimeoutSeconds: 30});
    this.told.push(...told);
    await this.#readLooking();
    await this.#looking?.readDepends(this.#connection);
    await this.#readLocale();
    await this.#keepLate(await this.#oids(), domainsIn(await madeIn(this.#connection, this.firstSchema)));
    for (const [name, {rows, hash}] of done) this.loads.get(name)!.content.addMeasured({rows, sum: hash});
  }

  async #readLooking(): Promise<void> {
    const tables = [...this.targets, ...this.tables.values()].map(({table}) => table);
    // A function has its arguments behind its name.
    const others = this.after.map(({name}) => unquoted(/^"(?:[^"]|"")*"|^[^(]*/u.exec(name)![0]));
    this.#looking = await LookingFunctions.read(this.#connection, [...tables, ...others]);
  }

  /** Otherwise queries of a living table would have rows of a staged one that inherits from it. */
  async #leaveLivingParents(oids: readonly number[]): Promise<void> {
    const loads = [...this.loads.values()];
    for (const {oid, parent} of await livingParents(this.#connection, oids)) {
      const {name, table} = loads[oids.indexOf(oid)]!;
      await this.#connection.run(leave(name, parent));
      if (this.#mode !== undefined) continue;
      const sql = join(qualified(table.schema, table.table), parent);
      await recordLater(this.#connection, this.firstSchema, {name: table.name, sql});
    }
  }

  /** They come back when all tables have their rows. Living tables have theirs. */
  async #dropChecks(oids: readonly number[]): Promise<void> {
    const staged = [...this.loads.keys()].map((name, at) => ({name, oid: oids[at]!}));
    const checks = await checksOf(this.#connection, this.#looking, staged);
    for (const check of checks) await this.#connection.run(dropOf(check));
    if (this.#mode === undefined) await this.#recordChecks(checks);
  }

  /** Of domains that came with the tables. */
  async #dropDomainChecks(oids: readonly number[], domains: readonly string[]): Promise<void> {
    const tables = [...this.loads.values()].map(({table, late}, at) => ({
      name: table.name,
      oid: oids[at]!,
      isLate: late !== undefined,
    }));
    const lateFirst = tables.toSorted((a, b) => Number(b.isLate) - Number(a.isLate));
    const options = {domains, tables: lateFirst};
    const dropped = await dropDomainChecks(this.#connection, this.#looking, options);
    await this.#recordChecks(dropped.map(({check}) => check));
    for (const {check, commenting} of dropped) {
      if (commenting === undefined) continue;
      await recordLater(this.#connection, this.firstSchema, {name: check.table, sql: commenting});
    }
  }

  async #recordChecks(checks: readonly Check[]): Promise<void> {
    const names = new Map(
      [...this.tables.values()].flatMap((table) =>
        table.relations.flatMap((relation) => {
          const [schema, name] = pairOf(relation);
          const isTable = isTableOf(table, relation);
          const keys = movedKeys(this.moves.get(moveKey(schema, name))!, name, {isTable});
          return keys.map((key) => [key, moveKey(schema, name)] as const);
        }),
      ),
    );
    const inBackup = (sql: string) => rewrite(sql, new Map(), names);
    for (const check of checks) {
      const stored = {...check, alter: inBackup(check.alter), definition: inBackup(check.definition)};
      if (check.isLooking) await this.#leaveCheck(this.#connection, stored);
      else await recordCheck(this.#connection, this.firstSchema, stored);
    }
  }

  async #leaveCheck(connection: Connection, check: Check): Promise<void> {
    const sql = `${check.alter} ${additionOf(check)}`;
    await recordLater(connection, this.firstSchema, {name: check.table, sql});
  }

  /** The checks of each table that can be added when all rows are there. */
  checks(): Promise<readonly (readonly Check[])[]> {
    return recordedChecks(this.#connection, this.firstSchema);
  }

  /**
   * Adds the checks of one table or domain, in a transaction; or leaves them for the end, if that is when rows come.
   */
  async addChecks(connection: Connection, checks: readonly Check[]): Promise<void> {
    const hasNoRows = this.loads.get(checks[0]!.table)!.late !== undefined;
    const nothing = {broken: [], left: checks};
    const added = hasNoRows ? nothing : await addChecks(connection, checks, (sql) => this.staged(sql));
    this.#broken.push(...added.broken);
    for (const check of added.left) await this.#leaveCheck(connection, check);
  }

  tellBrokenChecks(leftOut: LeftOut): void {
    const tables = [...this.tables.values()];
    const published = newNames(tables, this.targets);
    for (const {check, error} of this.#broken) {
      const {name} = this.targets[tables.findIndex((table) => table.name === check.table)]!;
      const sql = rewrite(checkValidation(check), new Map(), published);
      leftOut.unchecked(ownerOfCheck(check, name), `${sql};`, {error, what: kindOf(additionOf(check))});
    }
  }

  /** Of the staged tables, in the order of {@link loads}. */
  #oids(): Promise<readonly number[]> {
    const names = [...this.loads.values()].map(({table}) => stagedName(table, this.moves));
    return stagedOids(this.#connection, names);
  }

  #rests(name: TableName) {
    const at = [...this.tables.keys()].indexOf(name);
    return {name: this.loads.get(name)!.name, rests: `${this.firstSchema}._bkp_rest_${at}`, called: name};
  }

  /** All rows of the table are there. */
  async closeRests(connection: Connection, name: TableName): Promise<void> {
    await closeRests(connection, this.#rests(name));
  }

  #lateName(at: number): string {
    return `${this.firstSchema}._bkp_rows_${at}`;
  }

  /** @param domains that were created */
  async #keepLate(oids: readonly number[], domains: readonly string[]): Promise<void> {
    const connection = this.#connection;
    if (this.#mode !== undefined) return this.#freeComputed(oids);
    const held = await typesThatHold(connection, {domains, tables: oids});
    const generated = await generatedColumns(connection, oids);
    const refusing = new Set(await callOwnFunctions(connection, oids));
    const locale = await this.#localeOf(oids);
    for (const oid of locale?.divided ?? []) refusing.add(oid);
    const uncompared: string[] = [];
    for (const [at, load] of [...this.loads.values()].entries()) {
      const oid = oids[at]!;
      const stored = storedColumns(load.table);
      const late = await keepLate(
        connection,
        {
          ...{oid, table: load.name, keep: this.#lateName(at), isRefusing: refusing.has(oid)},
          generated: generated.of(oid).filter((name) => stored.includes(name)),
          locale: locale?.of(oid),
        },
        {looking: this.#looking, held},
      );
      if (late !== undefined) load.keepIn(late);
      for (const name of late?.uncompared ?? []) uncompared.push(`${name} of ${load.table.name}`);
    }
    this.#tellUncompared(uncompared);
  }

  #tellUncompared(columns: readonly string[]): void {
    const text =
      `not compared with the backup, because the server cannot compute them as in ${this.#otherLocale}: ` +
      columns.join(', ');
    // A staging that is continued has told it.
    if (columns.length > 0 && !this.told.includes(text)) this.told.push(text);
  }

  /** What the locale of the target may compute or order otherwise than that of the backup. */
  async #localeOf(oids: readonly number[]) {
    const locale = this.#otherLocale;
    if (locale === undefined) return undefined;
    const columns = await localeColumns(this.#connection, oids);
    const divided = await dividedByLocale(this.#connection, oids);
    const collation = await createLocale(this.#connection, this.firstSchema, locale);
    const of = (oid: number) => {
      const found = columns.of(oid);
      return found.length === 0 || collation === undefined ? undefined : {collation, columns: found};
    };
    const tables = [...this.loads.keys()];
    const unknown =
      collation !== undefined
        ? []
        : oids.flatMap((oid, at) => columns.of(oid).map(({name}) => `${name} of ${tables[at]}`));
    this.#tellUncompared(unknown);
    return {divided, of};
  }

  /**
   * A merge finds all names, those of the living tables, and these compute what is computed: the staged ones take the
   * values of the backup. Domains and keys of partitions still call functions.
   */
  async #freeComputed(oids: readonly number[]): Promise<void> {
    const generated = await generatedColumns(this.#connection, oids, 'attinhcount = 0');
    for (const [at, load] of [...this.loads.values()].entries()) {
      const {name, table} = load;
      const stored = storedColumns(table);
      load.searchPath = this.searchPath;
      for (const column of generated.of(oids[at]!).filter((one) => stored.includes(one))) {
        await dropExpression(this.#connection, name, column);
      }
    }
  }

  /**
   * Creates a constraint or an index; or at the end, if it calls a function that looks at other tables, which have no
   * names yet, or if it could refuse what rows are computed then.
   */
  async build(connection: Connection, name: TableName, sql: string): Promise<void> {
    if (isPrimaryKey(sql)) return this.loads.get(name)!.withKey(() => connection.run(this.staged(sql)));
    if (this.#mode !== undefined) return connection.run(this.staged(sql));
    const computed = this.loads.get(name)!.late?.computed ?? new Set();
    const mayRefuse = isUnique(sql) && [...tokensOf(sql)].some(({text}) => computed.has(unquoted(text)));
    if (!mayRefuse && this.#looking?.areNamedIn(sql) !== true && (await runOrLeave(connection, this.staged(sql))))
      return;
    await recordLater(connection, this.firstSchema, {name, sql});
  }

  async analyze(connection: Connection, name: TableName): Promise<void> {
    const isAnalyzed = await runOrLeave(connection, `ANALYZE ${this.loads.get(name)!.name}`);
    if (!isAnalyzed) await recordLater(connection, this.firstSchema, {name, sql: `ANALYZE ${name}`});
  }

  /** The foreign keys between these tables. `isLate`: one of or to a table that gets its rows last. */
  inside(): readonly (TableStatement & {isLate: boolean})[] {
    const keys = inOrder([...this.tables.values()], ({references}) => references.filter((sql) => this.#isInside(sql)));
    return keys.map((key) => ({...key, isLate: this.#isLate(key)}));
  }

  #isInside(sql: string): boolean {
    const found = referredBy(sql);
    return found !== undefined && this.moves.has(moveKey(found.schema, found.table));
  }

  #isLate({table: {name}, sql}: TableStatement): boolean {
    if (this.loads.get(name)!.late !== undefined) return true;
    const found = referredBy(sql);
    return [...this.loads.values()].some(
      ({late, table}) => late !== undefined && table.schema === found?.schema && table.table === found.table,
    );
  }

  async setSequences(table: StoredTable): Promise<void> {
    for (const value of table.sequences) {
      const [schema, name] = JSON.parse(value) as [string, string];
      await setSequence(this.#connection, value, this.moves.get(moveKey(schema, name))!);
    }
  }

  publishing(leftOut: LeftOut, waiting: readonly TableStatement[]): PublishOptions {
    const late = [...this.loads].flatMap(([name, load]) =>
      load.late === undefined ? [] : [[name, load.late] as const],
    );
    return {
      tables: [...this.tables.values()],
      targets: this.targets,
      after: this.after,
      moves: this.moves,
      schema: this.firstSchema,
      outside: (table) => table.references.filter((sql) => !this.#isInside(sql)),
      late: new Map(late),
      waiting,
      searchPath: this.searchPath,
      otherLocale: this.#otherLocale,
      leftOut,
    };
  }

  /** A statement about the tables, as one about the staged ones. */
  staged(sql: string): string {
    return rewrite(sql, this.moves);
  }
}

const isUnique = (sql: string) => /\b(?:UNIQUE|EXCLUDE)\b/u.test(sql);

/** What must exist before the tables. */
function sharedOf(
  database: DatabaseFacts,
  targets: readonly StoredTable[],
  after: readonly SharedObject[],
): readonly SharedObject[] {
  // Partitions and statistics may be in other schemas than their table.
  const own = targets.flatMap(({relations}) => relations.map((relation) => pairOf(relation)[0]));
  const schemas = [...targets, ...after].map(({schema}) => schema);
  return neededShared(sharedObjects(database), [...own, ...schemas]);
}
