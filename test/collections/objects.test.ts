import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {describe, expect, onTestFinished, test} from 'vitest';
import {type CollectionMembers, createCollection, leftBehind} from '../../src/collections/index.ts';
import {openSource} from '../../src/sources/index.ts';
import {inProcess} from '../helpers/in-process.ts';
import {imageOf} from '../helpers/sqlite-compare.ts';

/**
 * Views, virtual tables and triggers: what a database contains besides rows, and whether its application works after a
 * restore.
 */

class Place {
  readonly folder = mkdtempSync(join(tmpdir(), 'bkp-objects-'));
  readonly notices: string[] = [];
  readonly bench = inProcess({
    database: join(this.folder, 'app.db'),
    cluster: join(this.folder, 'cluster'),
    notice: (text) => this.notices.push(text),
  });

  constructor(schema: string) {
    onTestFinished(() => rmSync(this.folder, {recursive: true, force: true}));
    this.exec('app.db', schema);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  with<T>(name: string, use: (db: DatabaseSync) => T): T {
    const db = new DatabaseSync(this.path(name), {
      enableForeignKeyConstraints: false,
      enableDoubleQuotedStringLiterals: true,
      defensive: false,
    });
    try {
      return use(db);
    } finally {
      db.close();
    }
  }

  exec(name: string, sql: string): void {
    this.with(name, (db) => db.exec(sql));
  }

  all(name: string, sql: string): unknown[] {
    return this.with(name, (db) =>
      db
        .prepare(sql)
        .all()
        .map((row) => Object.values(row).join('|')),
    );
  }

  async create(members: CollectionMembers, incremental = false): Promise<void> {
    await this.bench.vault((vault) =>
      createCollection(
        {vault, nowMicros: () => Date.now() * 1000, randomId: () => 'c'.repeat(32)},
        {
          name: 'c',
          members,
          settings: incremental ? [{key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}] : [],
          ifNotExists: false,
        },
      ),
    );
  }

  /** Takes a full backup and restores it into new.db. @returns the notices of the backup and of the restore */
  async around(members: CollectionMembers): Promise<{backup: string; restore: string}> {
    await this.create(members);
    await this.bench.backup('c', 'full');
    const backup = this.notices.splice(0).join('\n');
    await this.bench.restore('c', this.path('new.db'));
    return {backup, restore: this.notices.splice(0).join('\n')};
  }
}

const database: CollectionMembers = {kind: 'database'};
const walNotice = /WAL/;

/** Every object of the schema, with its statement. */
const schemaOf = `SELECT type, name, tbl_name, sql FROM sqlite_schema
  WHERE name NOT LIKE '\\_bkp\\_%' ESCAPE '\\' ORDER BY 1, 2`;

const notes = `
  CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT, body TEXT);
  CREATE VIRTUAL TABLE notes_ft USING fts5(title, body, content='notes', content_rowid='id');
  CREATE TRIGGER notes_ai AFTER INSERT ON notes BEGIN
    INSERT INTO notes_ft (rowid, title, body) VALUES (NEW.id, NEW.title, NEW.body); END;
  CREATE TRIGGER notes_ad AFTER DELETE ON notes BEGIN
    INSERT INTO notes_ft (notes_ft, rowid, title, body) VALUES ('delete', OLD.id, OLD.title, OLD.body); END;
  INSERT INTO notes (title, body) VALUES ('Moor', 'wet'), ('Heath', 'dry'), ('Mire', 'wet');`;

describe('a collection of the whole database', () => {
  const kinds: Record<string, {schema: string; query: string; write: string; check?: string}> = {
    views: {
      schema: `CREATE TABLE hosts (id INTEGER PRIMARY KEY, name TEXT);
        INSERT INTO hosts (name) VALUES ('alder'), ('birch');
        CREATE VIEW "open ""hosts""" (n) AS SELECT name FROM hosts WHERE id > 0;
        CREATE VIEW longer AS SELECT n FROM "open ""hosts""";
        CREATE TRIGGER oh INSTEAD OF INSERT ON "open ""hosts""" BEGIN INSERT INTO hosts (name) VALUES (NEW.n); END;`,
      query: 'SELECT * FROM longer',
      write: `INSERT INTO "open ""hosts""" VALUES ('cedar')`,
    },
    'FTS5 over another table': {
      schema: notes,
      query: `SELECT rowid FROM notes_ft WHERE notes_ft MATCH 'wet' ORDER BY rank`,
      write: `INSERT INTO notes (title, body) VALUES ('Fen', 'wet'); DELETE FROM notes WHERE id = 1`,
      check: `INSERT INTO notes_ft (notes_ft, rank) VALUES ('integrity-check', 1)`,
    },
    'FTS5 with content of its own, without, and its vocabulary': {
      schema: `CREATE TABLE other (x);
        CREATE VIRTUAL TABLE own USING fts5(a, b UNINDEXED, tokenize = 'porter ascii', prefix = '2 3');
        CREATE VIRTUAL TABLE none USING fts5(a, content = '', contentless_delete = 1);
        CREATE VIRTUAL TABLE terms USING fts5vocab(own, row);
        INSERT INTO own VALUES ('running water', 1), ('runs dry', 2); INSERT INTO none VALUES ('water'), ('fire');
        DELETE FROM none WHERE rowid = 2`,
      query: `SELECT a FROM own WHERE own MATCH 'run'
        UNION ALL SELECT rowid FROM none WHERE none MATCH 'water' UNION ALL SELECT term FROM terms`,
      write: `INSERT INTO own VALUES ('run', 3); DELETE FROM own WHERE b = 1; INSERT INTO none VALUES ('water');
        DELETE FROM none WHERE rowid = 1`,
      check: `INSERT INTO own (own) VALUES ('integrity-check')`,
    },
    'FTS4 and FTS3': {
      schema: `CREATE VIRTUAL TABLE four USING fts4(a, b, tokenize = porter); CREATE VIRTUAL TABLE three USING fts3(a);
        INSERT INTO four VALUES ('running water', 'x'), ('runs dry', 'y');
        INSERT INTO three VALUES ('one two'), ('two')`,
      query: `SELECT b FROM four WHERE a MATCH 'run' UNION ALL SELECT a FROM three WHERE three MATCH 'two'`,
      write: `INSERT INTO four VALUES ('run', 'z'); DELETE FROM four WHERE b = 'x'; INSERT INTO three VALUES ('two')`,
      check: `INSERT INTO four (four) VALUES ('integrity-check')`,
    },
    'R-Tree and geopoly': {
      schema: `CREATE VIRTUAL TABLE places USING rtree(id, x1, x2, y1, y2, +name);
        CREATE VIRTUAL TABLE shapes USING geopoly(n);
        CREATE VIRTUAL TABLE whole USING rtree_i32(id, a, b);
        INSERT INTO places SELECT value, value, value + 1, 0, 1, 'p' || value FROM json_each('[1,2,3,4,5]');
        INSERT INTO whole VALUES (1, 2, 3);
        INSERT INTO shapes (_shape, n) VALUES ('[[0,0],[1,0],[0,1],[0,0]]', 'triangle')`,
      query: `SELECT name FROM places WHERE x1 >= 2 AND x2 <= 4 UNION ALL
        SELECT n FROM shapes WHERE geopoly_within(_shape, '[[-1,-1],[2,-1],[2,2],[-1,2],[-1,-1]]')`,
      write: `INSERT INTO places VALUES (9, 2, 3, 0, 1, 'p9'); DELETE FROM places WHERE id = 2;
        INSERT INTO whole VALUES (2, 3, 4)`,
      check: `SELECT rtreecheck('places')`,
    },
    'a table and a trigger without a name': {
      schema: `CREATE TABLE "" (id INTEGER PRIMARY KEY, "" TEXT); INSERT INTO "" VALUES (1, 'a');
        CREATE TRIGGER "" AFTER INSERT ON "" BEGIN UPDATE "" SET "" = 'new' WHERE id = NEW.id; END`,
      query: 'SELECT * FROM ""',
      write: 'INSERT INTO "" (id) VALUES (2)',
    },
    'a view without a name': {
      schema: `CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1); CREATE VIEW "" AS SELECT * FROM t`,
      query: 'SELECT * FROM ""',
      write: 'INSERT INTO t VALUES (2)',
    },
  };
  for (const [name, {schema, query, write, check = 'SELECT 1'}] of Object.entries(kinds)) {
    test(`restores ${name}`, async () => {
      const place = new Place(schema);
      const {backup, restore} = await place.around(database);
      expect(backup).toMatch(walNotice);
      expect(backup.split('\n')).toHaveLength(1);
      expect(restore).toBe('');
      const wanted = place.all('app.db', query);
      // Into a new file, and into an existing database.
      place.exec('other.db', 'CREATE TABLE before (x)');
      await place.bench.restore('c', place.path('other.db'));
      for (const file of ['new.db', 'other.db']) {
        const own = place.all(file, schemaOf).filter((line) => !String(line).includes('|before|'));
        expect(own).toEqual(place.all('app.db', schemaOf));
        expect(imageOf(place.path(file)).tables).toMatchObject(imageOf(place.path('app.db')).tables);
        expect(place.all(file, query)).toEqual(wanted);
        expect(imageOf(place.path(file)).integrity).toEqual(['ok']);
        place.exec(file, check);
      }
      place.exec('app.db', write);
      for (const file of ['new.db', 'other.db']) {
        place.exec(file, write);
        expect(place.all(file, query)).toEqual(place.all('app.db', query));
        place.exec(file, `${check}; CREATE TABLE a1 (x); ALTER TABLE a1 RENAME TO a2`);
      }
    });
  }

  test('rebuilds a full-text index whose rows have other rowids', async () => {
    const place = new Place(`CREATE TABLE pages (url TEXT PRIMARY KEY, body TEXT);
      CREATE VIRTUAL TABLE pages_ft USING fts5(body, content = 'pages');
      CREATE VIRTUAL TABLE pages_four USING fts4(body, content="pages");
      INSERT INTO pages (rowid, url, body) VALUES (7, 'z', 'wet moor'), (9, 'a', 'dry heath');
      INSERT INTO pages_ft (pages_ft) VALUES ('rebuild'); INSERT INTO pages_four (pages_four) VALUES ('rebuild')`);
    await place.around(database);
    for (const index of ['pages_ft', 'pages_four']) {
      const query = `SELECT url FROM pages WHERE rowid IN (SELECT rowid FROM ${index} WHERE ${index} MATCH 'wet')`;
      expect(place.all('new.db', query)).toEqual(['z']);
    }
    place.exec('new.db', `INSERT INTO pages_ft (pages_ft, rank) VALUES ('integrity-check', 1)`);
  });

  test('reports virtual tables whose modules are missing, and restores them with their tables', async () => {
    const place = new Place(`CREATE TABLE vec_chunks (id INTEGER PRIMARY KEY, v BLOB); CREATE TABLE vec_rowids (id);
      INSERT INTO vec_chunks VALUES (1, x'0102'); INSERT INTO vec_rowids VALUES (7);
      CREATE TABLE items (id INTEGER PRIMARY KEY);
      CREATE TRIGGER tr AFTER INSERT ON items BEGIN INSERT INTO vec VALUES (NEW.id); END;
      PRAGMA writable_schema = ON;
      INSERT INTO sqlite_schema VALUES ('table', 'vec', 'vec', 0, 'CREATE VIRTUAL TABLE vec USING vec0(v float[2])')`);
    const {backup, restore} = await place.around(database);
    expect(backup).toMatch(/virtual table vec .*vec_chunks, vec_rowids.*module vec0/);
    expect(restore).toBe('');
    expect(place.all('new.db', schemaOf)).toEqual(place.all('app.db', schemaOf));
    const tables = ['items', 'vec_chunks', 'vec_rowids'];
    expect(imageOf(place.path('new.db'), tables).tables).toEqual(imageOf(place.path('app.db'), tables).tables);
  });

  test('leaves out objects that read a missing table, and reports them each time', async () => {
    const place = new Place(`CREATE TABLE t (a); CREATE TABLE gone (x); CREATE VIEW v AS SELECT * FROM gone;
      CREATE VIEW w AS SELECT * FROM v;
      CREATE VIEW fine AS SELECT mine(a), value FROM t, my_series(1, 3) ORDER BY a COLLATE mine;
      CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO gone VALUES (mine(NEW.a)); END;
      CREATE TRIGGER up AFTER UPDATE ON t BEGIN SELECT mine(NEW.a, 2); END; DROP TABLE gone`);
    const {backup, restore} = await place.around(database);
    for (const text of [backup, restore]) {
      expect(text).toMatch(/view v .*gone/);
      expect(text).toMatch(/view w .*reads v/s);
      expect(text).toMatch(/trigger tr of t .*gone/);
      expect(text).not.toMatch(/fine|trigger up/);
    }
    expect(place.all('new.db', `SELECT name FROM sqlite_schema ORDER BY 1`)).toEqual(['fine', 't', 'up']);
    place.exec('new.db', 'INSERT INTO t VALUES (1)');
  });

  test('names a table whose name is reserved for SQLite', async () => {
    const place = new Place(`PRAGMA writable_schema = ON; CREATE TABLE sqlite_mine (x); CREATE TABLE t (x)`);
    expect((await place.around(database)).backup).toMatch(/sqlite_mine .*left out.*BACKUP DATABASE/);
  });
});

describe('a collection of tables', () => {
  const members: CollectionMembers = {kind: 'tables', tables: ['notes']};
  const audited = `CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT); CREATE TABLE audit (what TEXT);
    CREATE TRIGGER notes_log AFTER UPDATE ON notes BEGIN INSERT INTO audit VALUES (NEW.title); END;
    CREATE TRIGGER notes_own AFTER INSERT ON notes BEGIN UPDATE notes SET title = upper(title) WHERE id = NEW.id; END;
    INSERT INTO notes (title) VALUES ('moor')`;

  test('is restored without a trigger whose table is missing, and can be written', async () => {
    const place = new Place(audited);
    const {backup, restore} = await place.around(members);
    expect(backup).toMatch(/trigger notes_log of notes .*audit/);
    expect(restore).toMatch(/trigger notes_log of notes .*audit/);
    expect(restore).not.toMatch(/notes_own/);
    place.exec(
      'new.db',
      `UPDATE notes SET title = 'x'; INSERT INTO notes (title) VALUES ('y'); ALTER TABLE notes RENAME TO n2`,
    );
    expect(place.all('new.db', 'SELECT title FROM n2')).toEqual(['x', 'Y']);
  });

  test('keeps the trigger if its table exists', async () => {
    const place = new Place(audited);
    await place.create(members);
    await place.bench.backup('c', 'full');
    place.exec('app.db', 'DROP TABLE notes');
    place.notices.length = 0;
    await place.bench.restore('c', place.path('app.db'));
    expect(place.notices.join()).not.toMatch(/notes_log/);
    place.exec('app.db', `UPDATE notes SET title = 'x'`);
    expect(place.all('app.db', 'SELECT what FROM audit').at(-1)).toBe('x');
  });

  test('rebuilds a full-text index that existed before', async () => {
    const place = new Place(notes);
    await place.create(members);
    await place.bench.backup('c', 'full');
    place.exec('app.db', `INSERT INTO notes (title, body) VALUES ('later', 'wet'); DROP TABLE notes`);
    place.notices.length = 0;
    await place.bench.restore('c', place.path('app.db'));
    expect(place.notices.join()).toMatch(/notes_ft was rebuilt/);
    const found = `SELECT title FROM notes_ft WHERE notes_ft MATCH 'wet' ORDER BY rowid`;
    expect(place.all('app.db', found)).toEqual(['Moor', 'Mire']);
    place.exec('app.db', `INSERT INTO notes (title, body) VALUES ('Fen', 'wet')`);
    expect(place.all('app.db', found)).toEqual(['Moor', 'Mire', 'Fen']);
  });

  test('reports an R-Tree that existed before', async () => {
    const place = new Place(`CREATE TABLE notes (id INTEGER PRIMARY KEY, x);
      CREATE VIRTUAL TABLE tree USING rtree(id, a, b); INSERT INTO notes VALUES (1, 1), (2, 2);
      CREATE TRIGGER ins AFTER INSERT ON notes BEGIN INSERT OR REPLACE INTO tree VALUES (NEW.id, NEW.x, NEW.x); END`);
    await place.create(members);
    await place.bench.backup('c', 'full');
    place.exec('app.db', 'DROP TABLE notes');
    place.notices.length = 0;
    await place.bench.restore('c', place.path('app.db'));
    expect(place.notices.join()).toMatch(/virtual table tree existed before/);
    place.exec('app.db', 'INSERT INTO notes VALUES (3, 3)');
  });
});

describe('increments of the whole database', () => {
  test('report all tables that are copied completely in one notice', async () => {
    const place = new Place(
      'PRAGMA journal_mode = WAL; CREATE VIRTUAL TABLE f USING fts5(x); CREATE VIRTUAL TABLE r USING rtree(id, a, b)',
    );
    await place.create(database, true);
    await place.bench.backup('c', 'full');
    const whole = place.notices.filter((notice) => notice.startsWith('each increment takes all rows'));
    const named = 'f_config, f_content, f_data, f_docsize, f_idx and 3 more tables';
    expect(whole).toEqual([`each increment takes all rows of ${named}, see docs/sqlite.md`]);
  });

  test('copy tables without a key completely, and such tables may join and leave', async () => {
    const place = new Place(
      'PRAGMA journal_mode = WAL; CREATE TABLE a (id INTEGER PRIMARY KEY, v); INSERT INTO a (v) VALUES (1)',
    );
    await place.create(database, true);
    const taken = new Map<string, unknown>();
    const backup = async (type: 'full' | 'incremental') => {
      taken.set(await place.bench.backup('c', type), imageOf(place.path('app.db')));
    };
    await backup('full');
    place.exec(
      'app.db',
      'CREATE TABLE repl_lock (id INTEGER); INSERT INTO repl_lock VALUES (1), (2); INSERT INTO a (v) VALUES (2)',
    );
    await backup('incremental');
    expect(place.notices.join()).toMatch(/increment takes all rows of repl_lock, see/);
    place.exec('app.db', 'DELETE FROM repl_lock WHERE id = 1; INSERT INTO repl_lock VALUES (3)');
    await backup('incremental');
    place.exec('app.db', 'DROP TABLE repl_lock; UPDATE a SET v = 9');
    await backup('incremental');
    await backup('full');
    place.exec('app.db', 'CREATE TABLE other (x); DELETE FROM a WHERE id = 1');
    await backup('incremental');
    for (const [name, image] of taken) {
      await place.bench.restore('c', place.path(`${name}.db`), name);
      expect(imageOf(place.path(`${name}.db`))).toEqual(image);
    }
    // The chain continues after a restore into the database itself.
    place.exec('app.db', 'DROP TABLE a; DROP TABLE other');
    await place.bench.restore('c', place.path('app.db'));
    place.exec('app.db', 'INSERT INTO a (v) VALUES (7)');
    const name = await place.bench.backup('c', 'incremental');
    await place.bench.restore('c', place.path('last.db'), name);
    expect(imageOf(place.path('last.db'))).toEqual(imageOf(place.path('app.db')));
  });

  test('contain a full-text index and views as they are at each backup', async () => {
    const place = new Place(`PRAGMA journal_mode = WAL; ${notes}`);
    await place.create(database, true);
    await place.bench.backup('c', 'full');
    place.exec(
      'app.db',
      `INSERT INTO notes (title, body) VALUES ('Fen', 'wet'); DELETE FROM notes WHERE id = 1;
        CREATE VIEW v AS SELECT title FROM notes;
       CREATE VIRTUAL TABLE tree USING rtree(id, a, b); INSERT INTO tree VALUES (1, 2, 3)`,
    );
    const name = await place.bench.backup('c', 'incremental');
    place.exec('app.db', 'DROP TABLE tree; DROP VIEW v; DROP TABLE notes_ft; DROP TABLE notes');
    await place.bench.restore('c', place.path('app.db'), name);
    expect(place.all('app.db', `SELECT title FROM notes_ft WHERE notes_ft MATCH 'wet' ORDER BY rowid`)).toEqual([
      'Mire',
      'Fen',
    ]);
    expect(place.all('app.db', 'SELECT * FROM v UNION ALL SELECT id FROM tree')).toEqual(['Heath', 'Mire', 'Fen', '1']);
    place.exec(
      'app.db',
      `INSERT INTO notes (title, body) VALUES ('Bog', 'wet'); INSERT INTO tree VALUES (2, 3, 4);
      INSERT INTO notes_ft (notes_ft, rank) VALUES ('integrity-check', 1)`,
    );
    await place.bench.backup('c', 'incremental');
  });
});

test('an older bkp refuses a backup with records or views and accepts one without', async () => {
  const versionOf = async (schema: string, form?: 'rows') => {
    const place = new Place(schema);
    await place.create(database);
    const name = await place.bench.backup('c', 'full', {form});
    const key = `.backups/collections/c/${name}/manifest`;
    const {body} = await place.bench.vault((vault) => vault.manifest(key));
    return (body as {version: number}).version;
  };
  const [table, view] = ['CREATE TABLE t (a)', 'CREATE VIEW v AS SELECT a FROM t'];
  expect(await versionOf(table, 'rows')).toBe(1);
  expect(await versionOf(`${table}; ${view}`, 'rows')).toBe(2);
  expect(await versionOf(table)).toBe(3);
  expect(await versionOf(`${table}; ${view}`)).toBe(3);
});

test('restoring views and virtual tables creates nothing else', async () => {
  const place = new Place('CREATE TABLE t (a); CREATE VIEW v AS SELECT a FROM t');
  const source = await openSource({scheme: 'sqlite', path: place.path('app.db')});
  const snapshot = await source.snapshot({tables: ['t'], objects: true});
  await snapshot.close();
  const hostile = [
    {name: 'v', definition: {kind: 'view', sql: 'CREATE VIEW other AS SELECT 1', triggers: []}},
    {name: 'v', definition: {kind: 'view', sql: 'CREATE TABLE v AS SELECT 1', triggers: []}},
    {name: 'f', definition: {kind: 'virtual', sql: 'CREATE VIRTUAL TABLE g USING fts5(a)', triggers: []}},
    {name: 'f', definition: {kind: 'virtual', sql: 'CREATE VIRTUAL TABLE f USING fts5(a); SELECT 1', triggers: []}},
    {
      name: 'v',
      definition: {
        kind: 'view',
        sql: 'CREATE VIEW v AS SELECT 1',
        triggers: ['CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END'],
      },
    },
  ];
  for (const object of hostile) {
    const target = await openSource({scheme: 'sqlite', path: place.path('evil.db')});
    const staging = await target.stage(snapshot.schemas, {id: 'x', database: snapshot.database, objects: []});
    await staging.discard();
    const restoring = async () => {
      const evil = await target.stage(snapshot.schemas, {id: 'x', database: snapshot.database, objects: [object]});
      try {
        await evil.finish({check: 'quick'});
        await evil.publish({});
      } finally {
        await evil.discard();
      }
    };
    await expect(restoring()).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  }
});

test('a trigger on the tables of a full-text index does not run when the index is rebuilt', async () => {
  const place = new Place(`CREATE TABLE pages (url TEXT PRIMARY KEY, body TEXT);
      CREATE VIRTUAL TABLE ft USING fts5(body, content = 'pages');
    INSERT INTO pages VALUES ('a', 'wet'); INSERT INTO ft (ft) VALUES ('rebuild');
    CREATE TABLE precious (x); CREATE TRIGGER evil AFTER INSERT ON ft_docsize BEGIN INSERT INTO precious VALUES (1);
    END`);
  expect((await place.around(database)).restore).toBe('');
  expect(place.all('new.db', `SELECT rowid FROM ft WHERE ft MATCH 'wet'`)).toEqual(['1']);
  expect(place.all('new.db', 'SELECT count(*) FROM precious')).toEqual(
    place.all('app.db', 'SELECT count(*) FROM precious'),
  );
});

test('backup and restore name a view on a table that cannot be in a collection', async () => {
  const place = new Place('CREATE TABLE t (a)');
  place.with('app.db', (db) => {
    db.function('mine', {deterministic: true}, (x) => x);
    db.exec('CREATE TABLE needs (a, CHECK (mine(a))); CREATE VIEW v AS SELECT t.a FROM t, needs');
  });
  const {backup, restore} = await place.around(database);
  expect(backup).toMatch(/view v reads needs/);
  expect(restore).toMatch(/view v is left out: it reads needs/);
});

test('what a collection would leave out is known before it is created', async () => {
  const place = new Place(`CREATE TABLE t (a); CREATE TABLE _bkp_custom (x); CREATE VIEW v AS SELECT a FROM t`);
  const source = await openSource({scheme: 'sqlite', path: place.path('app.db')});
  const of = async (members: CollectionMembers) => (await leftBehind({name: 'c', members}, source)).join('\n');
  expect(await of(database)).toMatch(/_bkp_custom is left out.*rename it/);
  expect(await of({kind: 'tables', tables: ['t', 'v', 'none']})).toMatch(/^v is a view/);
  for (const tables of [
    ['t', 'T'],
    ['t', 'main.t'],
  ]) {
    await expect(of({kind: 'tables', tables})).rejects.toThrow(/table t is in collection c twice/);
  }
});
