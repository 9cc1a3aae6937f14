import {appendFileSync, mkdirSync, readFileSync} from 'node:fs';
import {dirname} from 'node:path';
import {createInterface, type Interface} from 'node:readline/promises';
import {asPlain, renderError} from '../../errors/index.ts';
import {isComplete, keywords, parse} from '../../sql/index.ts';
import type {RowFormat} from '../../ui/index.ts';
import type {Deps} from '../deps.ts';
import {runStatements} from './run.ts';

const historyLines = 1000;
const firstPrompt = 'bkp> ';
/** A statement goes on until its `;`. */
const nextPrompt = '  -> ';

/** Reads statements from a person, one after the other, with history and completion, until Ctrl-D or `exit`. */
export async function promptForStatements(deps: Deps, options: {wait: boolean; format: RowFormat}): Promise<void> {
  const prompt = createInterface({
    input: deps.stdin,
    output: deps.stdout,
    prompt: firstPrompt,
    history: readHistory(deps.home.historyFile),
    historySize: historyLines,
    removeHistoryDuplicates: true,
    completer: completeKeyword,
  });
  deps.stderr.write(
    'Statements end with ; and may take several lines. Ctrl-D or exit leaves; running operations go on.\n',
  );
  let text = '';
  // Ctrl-C drops the statement that is being typed, as in other prompts.
  prompt.on('SIGINT', () => {
    text = '';
    deps.stdout.write('^C\n');
    ask(prompt, firstPrompt);
  });
  ask(prompt, firstPrompt);
  for await (const line of prompt) {
    if (text === '' && /^\s*(exit|quit|\\q)\s*;?\s*$/i.test(line)) break;
    text = text === '' ? line : `${text}\n${line}`;
    if (text.trim() === '') text = '';
    else if (isComplete(text)) {
      remember(deps.home.historyFile, text);
      await runOne(deps, text, options);
      text = '';
    }
    ask(prompt, text === '' ? firstPrompt : nextPrompt);
  }
  prompt.close();
}

/** An error is told, and the prompt goes on. */
async function runOne(deps: Deps, text: string, options: {wait: boolean; format: RowFormat}): Promise<void> {
  try {
    await runStatements(deps, parse(text), options);
  } catch (error) {
    deps.stderr.write(renderError(asPlain(error)));
  }
}

function ask(prompt: Interface, text: string): void {
  prompt.setPrompt(text);
  prompt.prompt();
}

function completeKeyword(line: string): [string[], string] {
  const word = /[A-Za-z_]*$/.exec(line)?.[0] ?? '';
  const fits = word === '' ? [] : keywords.filter((keyword) => keyword.startsWith(word.toUpperCase()));
  return [fits.map((keyword) => `${keyword} `), word];
}

/** Newest first, as readline wants it. History is a convenience: that it cannot be read or written is no error. */
function readHistory(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean).slice(-historyLines).reverse();
  } catch {
    return [];
  }
}

function remember(file: string, text: string): void {
  // A statement with keys in it is refused; the history must not keep them.
  if (/secret_access_key|session_token/i.test(text)) return;
  try {
    mkdirSync(dirname(file), {recursive: true, mode: 0o700});
    appendFileSync(file, `${text.replaceAll('\n', ' ')}\n`, {mode: 0o600});
  } catch {
    // See readHistory.
  }
}
