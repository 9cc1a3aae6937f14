import {readFile} from 'node:fs/promises';
import {text as readAll} from 'node:stream/consumers';
import {BkpError, systemCode} from '../../errors/index.ts';
import type {CommandDeps} from '../deps.ts';

/** At most one of these is set. */
export type TextSource = {statement?: string | undefined; script?: string; file?: string};

/**
 * Reads the text of the statements.
 * @returns undefined if no source is given and stdin is a terminal: then a prompt reads them
 * @throws BkpError `USAGE`
 */
export async function readText(deps: CommandDeps, {statement, script, file}: TextSource): Promise<string | undefined> {
  const given = [statement, script, file].filter((source) => source !== undefined);
  if (given.length > 1) {
    throw new BkpError('USAGE', 'statements come from one place: the argument, --script or --file', {
      next: 'bkp sql --help',
    });
  }
  const text = statement ?? script;
  if (text !== undefined) return text;
  if (file !== undefined && file !== '-') return readStatementFile(file);
  if (file === undefined && deps.stdin.isTTY) return undefined;
  return readAll(deps.stdin);
}

async function readStatementFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const reason = {ENOENT: 'there is no such file', EISDIR: 'it is a folder', EACCES: 'you may not read it'}[
      systemCode(error) ?? ''
    ];
    throw new BkpError('USAGE', `cannot read statements from ${file}`, {cause: reason ?? error});
  }
}
