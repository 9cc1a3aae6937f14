import {median, type Run} from './measure.ts';

/** What a statement is compared with: the start of a process that does nothing. */
export const bareNode = 'node -e 0';

export type Figure = Run & {storedBytes: number};
/** step -> tool -> figure */
export type Round = Map<string, Map<string, Figure>>;

export function figure(round: Round, step: string, tool: string, value: Figure): void {
  const tools = round.get(step) ?? new Map<string, Figure>();
  round.set(step, tools.set(tool, value));
}

type Field = 'wallSeconds' | 'storedBytes';

/** Prints the medians of all steps as Markdown, then the ratios of interest, computed round by round. */
export function report(rounds: readonly Round[], tools: readonly string[]): void {
  console.log('| step | tool | wall s | CPU s | peak MiB | MiB added |\n| --- | --- | --- | --- | --- | --- |');
  for (const step of rounds[0]!.keys()) {
    for (const tool of tools) {
      const of = (field: keyof Omit<Figure, 'stdout'>) => {
        const values = rounds
          .map((round) => round.get(step)?.get(tool)?.[field])
          .filter((value) => value !== undefined);
        return values.length === 0 ? undefined : median(values);
      };
      if (of('wallSeconds') === undefined) continue;
      const stored = of('storedBytes');
      const cells = [
        of('wallSeconds'),
        of('cpuSeconds'),
        of('peakMiB'),
        stored === undefined ? undefined : stored / 2 ** 20,
      ];
      const digits = [2, 1, 0, 1];
      console.log(`| ${step} | ${tool} | ${cells.map((cell, at) => cell?.toFixed(digits[at]) ?? '').join(' | ')} |`);
    }
  }
  console.log('\nThe faster: of restic and borg, in the same round.');
  console.log('\n| figure | at most | median | each round |\n| --- | --- | --- | --- |');
  for (const {name, most, of, digits = 3} of asked) {
    const values = rounds.map(of);
    const text = (value: number) => (Number.isNaN(value) ? 'peer absent' : value.toFixed(digits));
    const middle = median(values);
    const found = most !== undefined && middle > most ? `**${text(middle)}, not reached**` : text(middle);
    console.log(`| ${name} | ${most ?? 'told'} | ${found} | ${values.map(text).join(', ')} |`);
  }
}

type Asked = {name: string; most?: number; of: (round: Round) => number; digits?: number};

/** NaN if the tool is absent. */
const value = (round: Round, step: string, tool: string, field: Field) =>
  round.get(step)?.get(tool)?.[field] ?? Number.NaN;

const wallOfFaster = (round: Round, step: string) =>
  Math.min(
    ...['restic', 'borg'].map((tool) => value(round, step, tool, 'wallSeconds')).filter((wall) => !Number.isNaN(wall)),
  );

/** bkp's wall in one step against the faster peer's in the same or another step. */
const againstFaster =
  (step: string, peerStep = step) =>
  (round: Round) => {
    const peer = wallOfFaster(round, peerStep);
    return Number.isFinite(peer) ? value(round, step, 'bkp', 'wallSeconds') / peer : Number.NaN;
  };

const against =
  (step: string, tool: string, field: Field, peerStep = step) =>
  (round: Round) =>
    value(round, step, 'bkp', field) / value(round, peerStep, tool, field);

const peakMiB = (round: Round) => Math.max(...[...round.values()].map((tools) => tools.get('bkp')?.peakMiB ?? 0));

const asked: readonly Asked[] = [
  {name: 'full: wall, against the faster', most: 0.5, of: againstFaster('full')},
  {name: 'full, tables only: wall, against the faster', most: 0.45, of: againstFaster('full, tables only', 'full')},
  {name: 'full: stored bytes, against restic', most: 0.8, of: against('full', 'restic', 'storedBytes')},
  {name: 'full: stored bytes, against borg', most: 0.9, of: against('full', 'borg', 'storedBytes')},
  {name: 'increment: wall, against the faster', most: 0.12, of: againstFaster('next after 1 %')},
  {name: 'increment: stored bytes, against restic', of: against('next after 1 %', 'restic', 'storedBytes')},
  {name: 'second full: wall, against the faster', most: 0.6, of: againstFaster('second full', 'next after 1 %')},
  {
    name: 'second full: stored bytes, against the first',
    most: 0.1,
    of: against('second full', 'bkp', 'storedBytes', 'full'),
  },
  {name: 'restore into a new file: wall, against borg', most: 0.9, of: against('restore', 'borg', 'wallSeconds')},
  {
    name: 'restore into an existing database: wall, against borg',
    most: 2.7,
    of: against('restore into an existing database', 'borg', 'wallSeconds', 'restore'),
  },
  {
    name: 'restore of base and increment: wall, against borg',
    of: against('restore base and increment', 'borg', 'wallSeconds', 'restore'),
  },
  {
    name: 'restore of the second full: wall, against borg',
    of: against('restore of the second full', 'borg', 'wallSeconds', 'restore'),
  },
  {name: 'verify all data: wall, against the faster', most: 0.4, of: againstFaster('verify all data')},
  {
    name: 'increment without changes: wall, against node -e 0',
    most: 12,
    of: against('increment without changes', bareNode, 'wallSeconds'),
  },
  {name: 'the largest peak of bkp, MiB', most: 250, of: peakMiB, digits: 0},
];
