import {BkpError} from '../../errors/index.ts';
import {formatCount} from '../../lib/figures.ts';
import {operationId} from '../../ops/index.ts';
import {retireOldKeys} from '../keys/retire.ts';
import type {Run} from './work.ts';

/** Damaged objects that an error names. */
const mostNamed = 10;

export const reencryptVault: Run<'reencrypt'> = async ({deps, operation, vault, signal, progress}, {place}) => {
  const reencrypted = vault.reencrypt({
    purpose: `operation ${operationId(operation)}`,
    signal,
    progress: (now) => {
      if (now.phase === 'waiting') progress({phase: 'Waiting for running backups', bytesDone: 0, itemsDone: 0});
      else progress({...now, phase: 'Re-encryption'});
    },
    finish: (generation) => retireOldKeys(deps, place, {vault: vault.id, generation}),
  });
  const {objects, bytes, damaged} = await reencrypted.catch((error: unknown) => {
    throw error instanceof BkpError && error.code === 'STORE_DENIED' ? notOverwritten(error) : error;
  });
  if (damaged.length > 0) throw stayed(damaged);
  const notice = `${formatCount(objects, 'object')} put again; nothing is under the older keys any more`;
  const versions = 'a bucket that keeps older versions of objects still has them under the older keys';
  return {storedBytes: bytes, notices: place.store.kind === 's3' ? [notice, versions] : [notice]};
};

const stayed = (damaged: readonly {key: string; detail: string}[]) =>
  new BkpError('OBJECT_DAMAGED', `${formatCount(damaged.length, 'damaged object')} stayed under the older keys`, {
    details: damaged.slice(0, mostNamed).map(({detail}) => detail),
    cause: 'what does not open cannot be sealed again; all else is under the newest keys',
    next: 'VERIFY the backups, heal them or drop what is lost; then bkp collection cleanup, and the command again',
  });

const notOverwritten = (cause: BkpError) =>
  new BkpError('STORE_DENIED', 'the store does not let bkp put objects again', {
    cause,
    next: 'use credentials that may read, overwrite and remove objects, and give the command again',
  });
