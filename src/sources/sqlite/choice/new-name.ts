import {BkpError} from '../../../errors/index.ts';
import {ownPrefix} from '../engine/own-prefix.ts';
import {foldName} from '../engine/quote.ts';

/** The name that a restored table gets; `main.` may precede it. @throws BkpError `BAD_NAME` */
export function newTableName(written: string): string {
  const name = /^main\../i.test(written) ? written.slice(5) : written;
  const fault = faultOf(name);
  if (fault === undefined) return name;
  throw new BkpError('BAD_NAME', `a table cannot get the name ${JSON.stringify(written)}: ${fault}`, {
    next: 'choose another name',
  });
}

function faultOf(name: string): string | undefined {
  const folded = foldName(name);
  if (folded.startsWith('sqlite_')) return 'SQLite reserves names that begin with sqlite_';
  if (folded.startsWith(ownPrefix)) return `names that begin with ${ownPrefix} are bkp's own`;
  if (name.includes('\0') || !name.isWellFormed()) return 'it is not valid text';
  return undefined;
}
