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
  console.log('\n| figure | ratio (median of rounds) | each round |\n| --- | --- | --- |');
  const ratio = (name: string, step: string, field: Field, against: (round: Round) => number | undefined) => {
    const values = rounds.map((round) => {
      const divisor = against(round);
      return divisor === undefined ? Number.NaN : round.get(step)!.get('bkp')![field] / divisor;
    });
    const text = (value: number) => (Number.isNaN(value) ? 'peer absent' : value.toFixed(3));
    console.log(`| ${name} | ${text(median(values))} | ${values.map(text).join(', ')} |`);
  };
  const peer = (step: string, tool: string, field: Field) => (round: Round) => round.get(step)?.get(tool)?.[field];
  const both = (step: string, pick: (a: number, b: number) => number) => (round: Round) => {
    const found = ['restic', 'borg']
      .map((tool) => round.get(step)?.get(tool)?.wallSeconds)
      .filter((value) => value !== undefined);
    return found.length === 0 ? undefined : found.reduce((a, b) => pick(a, b));
  };
  const faster = (step: string) => both(step, Math.min);
  const ratios: [name: string, step: string, field: Field, against: (round: Round) => number | undefined][] = [
    ['full: wall, against the faster', 'full', 'wallSeconds', faster('full')],
    ['full, tables only: wall, against the faster', 'full, tables only', 'wallSeconds', faster('full')],
    ['full: stored bytes, against restic', 'full', 'storedBytes', peer('full', 'restic', 'storedBytes')],
    ['full: stored bytes, against borg', 'full', 'storedBytes', peer('full', 'borg', 'storedBytes')],
    ['increment: wall, against the faster', 'next after 1 %', 'wallSeconds', faster('next after 1 %')],
    [
      'increment: stored bytes, against restic',
      'next after 1 %',
      'storedBytes',
      peer('next after 1 %', 'restic', 'storedBytes'),
    ],
    ['second full: wall, against the faster', 'second full', 'wallSeconds', faster('next after 1 %')],
    ['second full: stored bytes, against the first', 'second full', 'storedBytes', peer('full', 'bkp', 'storedBytes')],
    ['restore into a new file: wall, against borg', 'restore', 'wallSeconds', peer('restore', 'borg', 'wallSeconds')],
    [
      'restore of base and increment: wall, against borg',
      'restore base and increment',
      'wallSeconds',
      peer('restore', 'borg', 'wallSeconds'),
    ],
    [
      'restore into an existing database: wall, against borg',
      'restore into an existing database',
      'wallSeconds',
      peer('restore', 'borg', 'wallSeconds'),
    ],
    ['verify all data: wall, against the faster', 'verify all data', 'wallSeconds', faster('verify all data')],
    [
      'increment without changes: wall, against node -e 0',
      'increment without changes',
      'wallSeconds',
      peer('increment without changes', bareNode, 'wallSeconds'),
    ],
  ];
  for (const entry of ratios) ratio(...entry);
}
