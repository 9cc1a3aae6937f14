import {replacedNotices} from '../../lib/replaced-text.ts';
import {runSelect} from '../../query/index.ts';
import type {Deps} from '../deps.ts';
import {selectable} from '../views/views.ts';
import type {StatementResult} from './result.ts';

/** `text` is SQLite's SELECT on bkp's views. @throws BkpError what the query or one of its views fails with */
export async function select(deps: Deps, {text}: {text: string}): Promise<StatementResult> {
  const {selectRows: rows, selectSeconds: seconds, selectMebibytes: mebibytes} = await deps.settings();
  const limits = {rows, seconds, mebibytes};
  const selection = await runSelect(text, selectable(deps), {limits, signal: () => deps.signal});
  return {rows: {kind: 'selection', selection}, notices: replacedNotices(selection.replaced ?? 0)};
}
