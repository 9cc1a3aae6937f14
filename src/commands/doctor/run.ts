import {styleText} from 'node:util';
import {ExitStatus} from '../../errors/index.ts';
import {printable} from '../../ui/index.ts';
import type {Deps} from '../deps.ts';
import {type Check, checkCluster, checkHome, checkNode, checkProfile, checkSource} from './checks.ts';

export type DoctorOptions = {
  /** Remove change tracking that no collection needs any more. */
  repair: boolean;
  format: 'pretty' | 'json';
};

/** Runs every check, also after one that failed: a person wants to see all that is wrong at once. */
export async function runDoctor(deps: Deps, {repair, format}: DoctorOptions): Promise<void> {
  const checks: Check[] = [];
  for (const group of [checkNode, checkHome, checkProfile, checkCluster, checkSource]) {
    checks.push(...(await group(deps, {repair})));
  }
  const ok = checks.every((check) => check.ok);
  deps.stdout.write(
    format === 'json' ? `${JSON.stringify({ok, checks})}\n` : checks.map((check) => lines(check, deps.colors)).join(''),
  );
  deps.exitWith(ok ? ExitStatus.done : ExitStatus.failed);
}

function lines({what, ok, detail, next}: Check, colors: boolean): string {
  const paint = (style: 'green' | 'red', text: string) =>
    colors ? styleText(style, text, {validateStream: false}) : text;
  const mark = ok ? paint('green', 'ok  ') : paint('red', 'FAIL');
  return `${mark}  ${what}: ${printable(detail)}\n${next === undefined ? '' : `      next: ${next}\n`}`;
}
