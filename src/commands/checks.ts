import {styleText} from 'node:util';
import type {Check} from '../app/health/check.ts';
import {ExitStatus} from '../errors/index.ts';
import {printable} from '../lib/text.ts';
import type {CommandDeps} from './deps.ts';

export type CheckFormat = 'pretty' | 'json';

/** Prints the checks; the exit status is `failed` if one of them failed. */
export function printChecks(deps: CommandDeps, checks: readonly Check[], format: CheckFormat): void {
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
