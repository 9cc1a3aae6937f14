import type {Clock} from '../../lib/clock.ts';
import {probeKey, type Store} from '../../stores/index.ts';
import {type Header, headerMissing, type NewHeader, putHeader, refused, traceOfVault, writtenHeader} from './header.ts';
import {headerKey} from './key.ts';

/**
 * Where creators can overwrite each other's headers, each waits this long for the others' writes before it
 * reads which header remains.
 */
const settleMs = 2000;

/** Stop waiting after this many headers, each replaced within `settleMs`. */
const settleTries = 5;

/**
 * Creates the vault, and tests whether the store honours conditional writes. Of several concurrent creators one
 * wins, and all return its header. Only where the store ignores conditions, a creator that pauses between its
 * two writes for longer than `settleMs` can replace the header of another one, which then finds another id at
 * its next opening. The worker that continues a statement's work refuses a vault of another id.
 * @throws BkpError `STORE_REFUSED` when the store contains something else
 */
export async function createHeader(store: Store, wanted: NewHeader, clock: Clock): Promise<Header> {
  for await (const {key} of store.list('')) {
    if (key === headerKey) break;
    // Left by `bkp store check` with an access key that may not remove objects.
    if (key === probeKey) continue;
    const isVault = (await traceOfVault(store)) !== undefined;
    // A concurrent creator may have written the header, and more, since the listing began.
    if ((await store.stat(headerKey)) !== undefined) break;
    if (isVault) throw headerMissing(store);
    throw refused(store, `it contains an object that bkp did not write: ${key}`, 'choose an empty store');
  }
  await putHeader(store, wanted);
  return settledHeader(store, clock);
}

/** The header that remains: where creators overwrite each other's, the one that two consecutive reads return. */
async function settledHeader(store: Store, clock: Clock): Promise<Header> {
  let header = await writtenHeader(store);
  for (let tries = 1; header.conditionalWrites === false && tries <= settleTries; tries++) {
    await clock.sleep(settleMs);
    const again = await writtenHeader(store);
    if (again.id === header.id) break;
    header = again;
  }
  return header;
}
