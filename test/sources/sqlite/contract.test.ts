import {imageOf} from '../../helpers/sqlite-compare.ts';
import {describeTableSource} from '../contract.ts';
import {Database} from './database.ts';

describeTableSource({
  name: 'SQLite',
  async make() {
    const database = new Database();
    return {
      source: database.source,
      exec: async (sql) => database.exec(sql),
      rows: async (table) => imageOf(database.path).tables[table] ?? [],
    };
  },
});
