import type {Report} from './report.ts';

/** A report as a page of text of at most 80 columns, except for names and queries that are longer. */
export function reportPage(report: Report): string {
  const {level, outcome, tables, queries, faults, by} = report;
  const of = report.collection ?? report.instance ?? '';
  const title = `${level === 'restore' ? 'RESTORE DRILL' : 'COMPARISON WITH THE SOURCE'}: ${outcome.toUpperCase()}`;
  const seconds = (Date.parse(report.endedAt) - Date.parse(report.startedAt)) / 1000;
  const facts: [string, string][] = [
    ['Backup', `${of}/${report.backup}`],
    ['Taken', report.takenAt],
    ['Verified', `${report.startedAt} to ${report.endedAt} (${seconds.toFixed(1)} s)`],
    ...(report.restoreSeconds === undefined
      ? []
      : [
          ['Recovery', `${report.restoreSeconds.toFixed(1)} s until the database was complete and checked`] as [
            string,
            string,
          ],
        ]),
    ['By', `bkp ${by.bkp}, Node ${by.node}, SQLite ${by.sqlite}`],
    ['On', `${by.host}, ${by.operation}`],
  ];
  const lines = [title, '='.repeat(title.length), '', ...facts.map(([name, value]) => `${name.padEnd(10)}${value}`)];
  const section = (name: string, items: readonly string[]) => {
    if (items.length > 0) lines.push('', name, ...items.flatMap((item) => wrapped(item)));
  };
  section('Faults', faults);
  section('Checked', report.checked);
  section('Not checked', report.notChecked);
  if (queries.length > 0) {
    lines.push('', 'Queries');
    for (const {sql, held, found} of queries) lines.push(`  ${held ? 'held  ' : 'FAILED'}  ${sql}  -> ${found}`);
  }
  if (tables.length > 0) {
    const width = Math.max(5, ...tables.map(({name}) => name.length));
    lines.push('', 'Tables', `  ${'table'.padEnd(width)}  ${'rows'.padStart(13)}  ${'expected'.padStart(13)}  content`);
    for (const {name, rows, expected, content} of tables) {
      const known = expected === undefined ? '-' : String(expected);
      lines.push(`  ${name.padEnd(width)}  ${String(rows).padStart(13)}  ${known.padStart(13)}  ${content}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

const columns = 80;

function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = '  -';
  for (const word of text.split(/\s+/)) {
    if (line.length + 1 + word.length > columns && line.trim() !== '-') {
      lines.push(line);
      line = '   ';
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
