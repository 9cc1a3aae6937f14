import {BkpError} from '../../../errors/index.ts';
import {withConnection} from '../engine/connection.ts';
import {type Examined, examine} from './examine.ts';

// Started by its path, with a database's path: prints what the examination found, as JSON.
process.stdout.write(JSON.stringify(found(process.argv[2]!)));

/** A file that SQLite does not open is a finding too. */
function found(path: string): Examined {
  try {
    return withConnection(path, {}, examine);
  } catch (error) {
    if (!(error instanceof BkpError) || error.code !== 'SOURCE_DAMAGED') throw error;
    const damage = [error.cause instanceof Error ? error.cause.message : error.message];
    return {check: {damage, brokenRules: [], unchecked: []}, dangling: [], tables: []};
  }
}
