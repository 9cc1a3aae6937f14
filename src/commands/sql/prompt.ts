import {setTimeout as sleep} from 'node:timers/promises';
import {asPlain, BkpError, renderError} from '../../errors/index.ts';
import {printableLines} from '../../lib/text.ts';
import {wrappedError} from '../../lib/wrap.ts';
import {isComplete, keywords, parse} from '../../sql/index.ts';
import type {RowFormat} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {History, historyLines} from './history.ts';
import {runStatements} from './run.ts';
import {TypedLines} from './typed-lines.ts';

const firstPrompt = 'bkp> ';
/** Continues a statement until its `;`. */
const nextPrompt = '  -> ';
const promptHelp = `Statements, each ended by ; (docs/sql.md describes them all):
  CREATE BACKUP COLLECTION shop (TABLE orders)
    WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')
  BACKUP shop [INCREMENTAL]
  RESTORE shop [TABLE orders] [AT '-1 day'] [INTO './new.db']
  VERIFY shop                       DROP BACKUP shop AT '…'
  SHOW BACKUP COLLECTIONS           SHOW BACKUPS IN shop
  SELECT * FROM operations()
Tab completes keywords, Ctrl-C drops the line, Ctrl-D or exit leaves.
bkp operation list shows what runs.
`;

/** Code that reacts to Ctrl-C has ended by then; otherwise the prompt reports that the statement still runs. */
const patienceMs = 1000;

/**
 * Reads statements from a person, one after the other, with history and completion, until Ctrl-D or `exit`.
 * Ctrl-C drops all input that has not run yet; while a statement runs, it returns to the prompt.
 */
export async function promptForStatements(
  deps: CommandDeps,
  options: {wait: boolean; format: RowFormat},
): Promise<void> {
  const history = new History(deps.home.historyFile);
  const lines = new TypedLines({...typedFrom(deps), history: () => history.newestFirst(), historyLines, complete});
  deps.stderr.write(
    'Statements end with ; and may take several lines. help lists some.\n' +
      'Ctrl-D or exit leaves; operations go on.\n',
  );
  let text = '';
  for (;;) {
    const typed = await deps.interruptible(({signal}) => lines.next(text === '' ? firstPrompt : nextPrompt, signal));
    if (typed.kind === 'end') break;
    if (typed.kind === 'interrupt') {
      text = '';
      continue;
    }
    if (/^\s*(exit|quit|\\q)\s*;?\s*$/i.test(typed.text) && isBetweenWords(text)) {
      if (text !== '') deps.stderr.write('The statement that was not ended by ; was not run.\n');
      break;
    }
    if (text === '' && /^\s*(help|\\h|\\\?|\?)\s*;?\s*$/i.test(typed.text)) {
      lines.release();
      deps.stderr.write(promptHelp);
      continue;
    }
    text = text === '' ? typed.text : `${text}\n${typed.text}`;
    if (text.trim() === '') text = '';
    if (!isComplete(text)) continue;
    history.remember(text);
    lines.release();
    if ((await runOne(deps, text, options)) === 'interrupted') lines.forget();
    text = '';
  }
  lines.release();
}

/** Not within a quoted text, which may have any line. */
const isBetweenWords = (text: string) => isComplete(`${text}\n;`);

function typedFrom({stdin, stdout, stderr, env}: CommandDeps) {
  return {stdin, stdout, stderr, env};
}

/** Reports an error and returns, so that the prompt continues. */
function runOne(
  deps: CommandDeps,
  text: string,
  options: {wait: boolean; format: RowFormat},
): Promise<'done' | 'interrupted'> {
  return deps.interruptible(async (own) => {
    const {signal} = own;
    const settled = new AbortController();
    signal.addEventListener('abort', () => void reportWaiting(deps, settled.signal), {once: true});
    try {
      // Settings are read again, because they may have changed. The result of a wait does not set the exit status.
      const statementDeps: CommandDeps = {
        ...own,
        exitWith: () => {},
        openStore: (address, open) => own.openStore(address, {signal, ...open}),
      };
      await runStatements(statementDeps, parse(text), options);
    } catch (error) {
      const shown = signal.aborted && error === signal.reason ? new BkpError('INTERRUPTED', 'interrupted') : error;
      const {isTTY, columns} = deps.stdout;
      deps.stderr.write(wrappedError(printableLines(renderError(asPlain(shown))), isTTY ? columns : undefined));
    } finally {
      settled.abort();
    }
    return signal.aborted ? 'interrupted' : 'done';
  });
}

/** Most statements do not stop halfway, because half a statement is worse than a late one. */
async function reportWaiting({stderr}: CommandDeps, settled: AbortSignal): Promise<void> {
  await sleep(patienceMs, undefined, {signal: settled}).then(
    () => stderr.write('bkp: the statement is still running; Ctrl-C again ends bkp\n'),
    () => {},
  );
}

function complete(line: string): [string[], string] {
  const word = /[A-Za-z_]*$/.exec(line)?.[0] ?? '';
  const fits = word === '' ? [] : keywords.filter((keyword) => keyword.startsWith(word.toUpperCase()));
  return [fits.map((keyword) => `${keyword} `), word];
}
