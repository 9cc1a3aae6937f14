import {openKeys} from '../../app/keys/open-keys.ts';
import {kindOf, shownId} from '../../app/keys/slots.ts';
import type {RowFormat} from '../../ui/index.ts';
import {fingerprintOf} from '../../vault/index.ts';
import type {CommandDeps} from '../deps.ts';
import {printedTable} from '../tables.ts';

export async function runKeyList(deps: CommandDeps, {format}: {format: RowFormat}): Promise<void> {
  const {unlocked} = await openKeys(deps);
  const {ring, slot} = unlocked;
  const columns = [{name: 'slot'}, {name: 'label'}, {name: 'kind'}, {name: 'created', spare: 1}, {name: 'opened'}];
  const rows = ring.slots.map((one) => [
    format === 'json' ? one.id : shownId(one),
    one.label,
    kindOf(one),
    one.created,
    one.id === slot.id,
  ]);
  const tail = format === 'json' ? '' : `ring ${fingerprintOf(ring.keys)}\n`;
  deps.stdout.write(printedTable({columns, rows}, format, deps.stdout) + tail);
}
