import {styleText} from 'node:util';
import type {Check} from '../app/health/check.ts';
import {ExitStatus} from '../errors/index.ts';
import {printable} from '../lib/text.ts';
import {wrap, wrappedError} from '../lib/wrap.ts';
import type {CommandDeps} from './deps.ts';

export type CheckFormat = 'pretty' | 'json';

/** Prints the checks; the exit status is `failed` if one of them failed. */
export function printChecks(deps: CommandDeps, checks: readonly Check[], format: CheckFormat): void {
  const ok = checks.every((check) => check.ok);
  const {stdout, colors} = deps;
  const columns = stdout.isTTY ? stdout.columns : undefined;
  const pretty = () => checks.map((check) => lines(check, {colors, columns})).join('');
  stdout.write(format === 'json' ? `${JSON.stringify({ok, checks})}\n` : pretty());
  deps.exitWith(ok ? ExitStatus.done : ExitStatus.failed);
}

/** @param options.columns of a terminal */
function lines(
  {what, ok, detail, next}: Check,
  {colors, columns}: {colors: boolean; columns: number | undefined},
): string {
  const paint = (style: 'green' | 'red', text: string) =>
    colors ? styleText(style, text, {validateStream: false}) : text;
  const mark = ok ? paint('green', 'ok  ') : paint('red', 'FAIL');
  const text = `${indent}${what}: ${printable(detail)}`;
  const wrapped = columns === undefined ? [text] : wrap(text, columns);
  const shown = `${mark}${wrapped.join('\n').slice(markWidth)}\n`;
  if (next === undefined) return shown;
  return shown + wrappedError(`next: ${next}\n`, columns && columns - indent.length).replaceAll(/^(?=.)/gm, indent);
}

const indent = '      ';
const markWidth = 'FAIL'.length;
