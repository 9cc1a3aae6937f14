import {Engine, type Outcome} from './engine.ts';
import {mutants} from './index.ts';
import {requireOneEdit} from './mutant.ts';

/**
 * `npm run mutations [words]`: takes each guard of the list away in turn, or those whose name has the words, and
 * demands that the test named beside it fails. Before and after, all these tests must pass.
 */
const [words = ''] = process.argv.slice(2);
const chosen = mutants.filter(({name}) => name.includes(words));
if (chosen.length === 0) throw new Error(`no mutant has a name with: ${words}`);
for (const mutant of chosen) requireOneEdit(mutant);

const endsWith = (title: string) => new RegExp(`(?:^| )${title.replaceAll(/[^\w\s]/g, '\\$&')}$`);
const faults: string[] = [];
const engine = await Engine.start();
try {
  await requirePassing('before any mutant');
  if (faults.length === 0) {
    for (const mutant of chosen) {
      const [file, title] = mutant.killedBy;
      const outcomes = await engine.run(mutant, [file], endsWith(title));
      const outcome = [...outcomes.values()].find((one) => one.outcome !== 'did not run');
      const isNoticed = outcome?.outcome === 'failed';
      console.log(`${isNoticed ? 'noticed' : 'SURVIVED'}: ${mutant.name}: ${textOf(outcome)}`);
      if (!isNoticed) faults.push(`${mutant.name}: ${file} "${title}": ${textOf(outcome)}`);
    }
    // What is left of a mutant would make every later test fail, and so every later mutant look noticed.
    await requirePassing('after the last mutant');
  }
} finally {
  await engine.close();
}
console.log(faults.length === 0 ? `${chosen.length} mutants, each noticed` : faults.join('\n'));
process.exitCode = faults.length === 0 ? 0 : 1;

async function requirePassing(when: string): Promise<void> {
  for (const [file, titles] of testsOf()) {
    const pattern = new RegExp(titles.map((title) => endsWith(title).source).join('|'));
    const outcomes = await engine.run(undefined, [file], pattern);
    for (const title of titles) {
      const found = [...outcomes].filter(([name]) => endsWith(title).test(name)).map(([, outcome]) => outcome);
      if (found.length === 1 && found[0]!.outcome === 'passed') continue;
      faults.push(`${when}: ${file} "${title}": ${found.map(textOf).join(', ') || 'no such test'}`);
    }
  }
}

function testsOf(): Map<string, string[]> {
  const byFile = new Map<string, string[]>();
  for (const {killedBy} of chosen) {
    const [file, title] = killedBy;
    const titles = byFile.get(file) ?? [];
    if (!titles.includes(title)) byFile.set(file, [...titles, title]);
  }
  return byFile;
}

function textOf(outcome: Outcome | undefined): string {
  if (outcome === undefined) return 'did not run';
  return outcome.error === undefined ? outcome.outcome : `${outcome.outcome}, ${outcome.error}`;
}
