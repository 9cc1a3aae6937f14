import {styleText} from 'node:util';
import {asPlain, ExitStatus} from '../../errors/index.ts';
import {printable} from '../../ui/index.ts';
import type {Deps} from '../deps.ts';

/** One point that was looked at, for people and for programs. */
export type Check = {what: string; ok: boolean; detail: string; next?: string};

export type CheckFormat = 'pretty' | 'json';

/** A check that cannot be made is a fault like any other. */
export async function tried(what: string, check: () => Promise<Check[]>): Promise<Check[]> {
  try {
    return await check();
  } catch (error) {
    const {message, cause, next} = asPlain(error);
    return [
      {
        what,
        ok: false,
        detail: cause === undefined ? message : `${message}: ${cause}`,
        ...(next === undefined ? {} : {next}),
      },
    ];
  }
}

/** Prints the checks; the exit status is `failed` when one of them is a fault. */
export function tellChecks(deps: Deps, checks: readonly Check[], format: CheckFormat): void {
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
