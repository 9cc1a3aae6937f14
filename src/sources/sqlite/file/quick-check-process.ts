import {withConnection} from '../engine/connection.ts';
import {quickCheck} from './quick-check.ts';

// Started by its path, with a database's path: prints what the check found, as JSON.
process.stdout.write(JSON.stringify(withConnection(process.argv[2]!, {}, quickCheck)));
