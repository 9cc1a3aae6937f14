import {readdirSync} from 'node:fs';
import {createServer} from 'node:http';
import {join} from 'node:path';

// Plays a QuestDB server that was started with `-d ROOT`, as far as a drill asks it. The argument before that says how.

const [mode = '', ...more] = process.argv.slice(2);
const words = [mode, ...more.slice(0, more.indexOf('-d'))].join(' ');
const root = process.argv.at(-1)!;
const folders = (() => {
  try {
    return readdirSync(join(root, '.checkpoint/db'), {withFileTypes: true}).filter((entry) => entry.isDirectory());
  } catch {
    return [];
  }
})();

if (words === 'ends' || (words === 'ends on data' && folders.length > 0)) {
  console.log('cannot open the root');
  process.exit(1);
}

const rows: Record<string, number> = {trades: 66, flat: 10, weekly: 30, few: 5};
const names = folders.map(({name}) => ({folder: name, name: name.replace(/~\d+$/, '')}));

function answer(sql: string): object {
  const table = (columns: string[], dataset: unknown[][]) => ({columns: columns.map((name) => ({name})), dataset});
  if (sql === 'SELECT 1') return table(['1'], [[1]]);
  if (sql.includes('build()')) return table(['build'], [['Build Information: QuestDB 9.3.4, JDK 17, Commit Hash x']]);
  if (sql.includes('cairo.sql.copy.work.root')) {
    const own = words === 'is elsewhere' ? '/tmp/tmp' : join(root, 'tmp');
    return table(['value', 'value_source'], [[own, 'default']]);
  }
  if (sql.includes('FROM tables()') && words === 'is elsewhere' && !sql.includes('WHERE'))
    return table(['directoryName', 'name'], [['other~1', 'other']]);
  if (sql.includes('FROM tables()') && words === 'is elsewhere') return table(['table_name'], [['other']]);
  if (sql.includes('FROM tables()')) {
    return table(
      ['directoryName', 'name'],
      names.map(({folder, name}) => [folder, name]),
    );
  }
  if (sql.includes('suspended')) {
    return table(['name', 'suspended', 'writerTxn', 'sequencerTxn'], [['trades', words === 'suspends', 5, 5]]);
  }
  if (sql.includes('wal_tables')) return table(['name', 'sequencerTxn'], []);
  const name = /FROM "([^"]+)"/.exec(sql)?.[1] ?? '';
  if (words === 'refuses' && name === 'trades') return {error: 'no such table'};
  return table(['n'], [[(rows[name] ?? 0) + (words === 'counts' && name === 'trades' ? 1 : 0)]]);
}

const [host, port] = process.env.QDB_HTTP_BIND_TO!.split(':');
createServer((request, response) => {
  const sql = new URL(request.url!, 'http://x').searchParams.get('query') ?? '';
  response.end(JSON.stringify(answer(sql)));
}).listen(Number(port), host);
