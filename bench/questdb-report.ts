import {median, type Run} from './measure.ts';
import type {InsertRates} from './questdb-writer.ts';

/** Changed partitions, as one stream of tar and zstd -5. */
export type Packed = {count: number; of: number; bytes: number};

/**
 * The figures of one round. `partitions`: bytes that QuestDB Enterprise, which uploads whole partitions, would
 * upload again, counting a partition as changed with any of its files, or only with its rows: closing a
 * partition cuts the zeros off its files.
 */
export type QuestDbRound = {
  steps: Map<string, Map<string, Run & {storedBytes?: number}>>;
  partitions: {files: Packed; rows: Packed};
  /** Microseconds. */
  held: {first: number; next: number};
  /** Bytes in the first backup, without the zeros at the ends of files; bytes that the next one read. */
  bytes: {first: number; nextRead: number};
  /** Rows per second; absent when it was not measured. */
  inserts?: InsertRates;
};

const unknown: InsertRates = {without: Number.NaN, during: Number.NaN};
const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1);

/** Prints medians of all steps as Markdown, then the ratios of interest, computed round by round. */
export function reportQuestDb(rounds: readonly QuestDbRound[]): void {
  console.log('| step | tool | wall s | CPU s | peak MiB | MiB added |\n| --- | --- | --- | --- | --- | --- |');
  for (const [step, tools] of rounds[0]!.steps) {
    for (const tool of tools.keys()) {
      const runs = rounds.map((round) => run(round, step, tool)!);
      const of = (field: 'wallSeconds' | 'cpuSeconds' | 'peakMiB' | 'storedBytes') => {
        const found = runs.map((one) => one[field]).filter((value) => value !== undefined);
        return found.length === 0 ? undefined : median(found);
      };
      const stored = of('storedBytes');
      const cells = [of('wallSeconds')?.toFixed(2), of('cpuSeconds')?.toFixed(1), of('peakMiB')?.toFixed(0)];
      console.log(
        `| ${step} | ${tool} | ${cells.map((cell) => cell ?? '').join(' | ')} | ` +
          `${stored === undefined ? '' : mib(stored)} |`,
      );
    }
  }
  const {first, nextRead} = rounds[0]!.bytes;
  console.log(`\n${mib(first)} MiB in the first backup; the next one read ${mib(nextRead)} MiB`);
  for (const by of ['files', 'rows'] as const) {
    const {count, of: all} = rounds[0]!.partitions[by];
    const bytes = median(rounds.map(({partitions}) => partitions[by].bytes));
    console.log(`partitions with other ${by}: ${count} of ${all}, ${mib(bytes)} MiB with zstd -5`);
  }
  const rows = (pick: (rates: InsertRates) => number) =>
    Math.round(median(rounds.map(({inserts = unknown}) => pick(inserts)))).toLocaleString('en');
  if (rounds[0]!.inserts !== undefined)
    console.log(
      `inserts a second: ${rows(({without}) => without)} without a backup, ${rows(({during}) => during)} during one`,
    );
  const held = (pick: (held: QuestDbRound['held']) => number) =>
    (median(rounds.map((round) => pick(round.held))) / 1e6).toFixed(2);
  console.log(`checkpoint held: ${held(({first}) => first)} s first backup, ${held(({next}) => next)} s increment`);

  console.log('\n| figure | asked for | ratio (median of rounds) | each round |\n| --- | --- | --- | --- |');
  const line = (name: string, asked: string, of: (round: QuestDbRound) => number) => {
    const values = rounds.map(of);
    const text = (value: number) => (Number.isNaN(value) ? 'not measured' : value.toFixed(3));
    console.log(`| ${name} | ${asked} | ${text(median(values))} | ${values.map(text).join(', ')} |`);
  };
  const againstRestic = (step: string, field: 'wallSeconds' | 'storedBytes') => (round: QuestDbRound) =>
    run(round, step, 'bkp')![field]! / (run(round, step, 'restic')?.[field] ?? Number.NaN);
  line('first: wall, against restic', '≤ 0.55', againstRestic('first', 'wallSeconds'));
  line('first: stored bytes, against restic', '≤ 0.9', againstRestic('first', 'storedBytes'));
  const againstPartitions = (by: 'files' | 'rows') => (round: QuestDbRound) =>
    run(round, 'next', 'bkp')!.storedBytes! / round.partitions[by].bytes;
  line('next: stored bytes, against partitions with other files', '≤ 0.3', againstPartitions('files'));
  line('next: stored bytes, against partitions with other rows', 'told', againstPartitions('rows'));
  line('next: stored bytes, against restic', 'told', againstRestic('next', 'storedBytes'));
  line('next: wall, against restic', '≤ 0.5', againstRestic('next', 'wallSeconds'));
  line('restore: wall, against restic', '≤ 0.5', againstRestic('restore', 'wallSeconds'));
  line(
    'insert rate during a first backup, against without',
    '≥ 0.8',
    ({inserts = unknown}) => inserts.during / inserts.without,
  );
}

const run = (round: QuestDbRound, step: string, tool: string) => round.steps.get(step)?.get(tool);
