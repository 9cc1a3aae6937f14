import {createHash} from 'node:crypto';
import {DatabaseSync} from 'node:sqlite';

export type Fingerprint = {rows: number; digest: string; integrity: string};

/** A digest of every row of the tables, column by column with its type, in key order, and of the schema's text. */
export function fingerprint(file: string, tables: readonly string[]): Fingerprint {
  const db = new DatabaseSync(file, {readOnly: true});
  try {
    const hash = createHash('sha256');
    let rows = 0;
    for (const table of tables) {
      const columns = db
        .prepare('SELECT name FROM pragma_table_xinfo(?)')
        .all(table)
        .map((column) => String(column.name));
      const values = columns.map((name) => `typeof("${name}"), quote("${name}")`).join(', ');
      const read = db.prepare(`SELECT ${values} FROM "${table}" ORDER BY 1, 2, 3, 4`);
      read.setReturnArrays(true);
      for (const row of read.iterate()) {
        hash.update(JSON.stringify(row));
        rows++;
      }
    }
    const schema = db
      .prepare(
        'SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND tbl_name IN (SELECT value FROM json_each(?)) ' +
          "AND name NOT LIKE '\\_bkp\\_%' ESCAPE '\\' ORDER BY type, name",
      )
      .all(JSON.stringify(tables));
    hash.update(JSON.stringify(schema));
    const integrity = String(Object.values(db.prepare('PRAGMA integrity_check(1)').get()!)[0]);
    return {rows, digest: hash.digest('hex').slice(0, 16), integrity};
  } finally {
    db.close();
  }
}
