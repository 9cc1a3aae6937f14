import {median, type Run} from './measure.ts';

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
  ratio('full: wall, against the faster of restic and borg', 'full', 'wallSeconds', both('full', Math.min));
  ratio('full: stored bytes, against restic', 'full', 'storedBytes', peer('full', 'restic', 'storedBytes'));
  ratio(
    'incremental: wall, against the faster of restic and borg',
    'next after 1 %',
    'wallSeconds',
    both('next after 1 %', Math.min),
  );
  ratio(
    'incremental: stored bytes, against restic',
    'next after 1 %',
    'storedBytes',
    peer('next after 1 %', 'restic', 'storedBytes'),
  );
  ratio(
    'second full: stored bytes, against the first full',
    'second full',
    'storedBytes',
    peer('full', 'bkp', 'storedBytes'),
  );
  ratio('restore: wall, against the slower of restic and borg', 'restore', 'wallSeconds', both('restore', Math.max));
}
