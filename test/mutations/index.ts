import {changeMutants} from './changes.ts';
import {collectorMutants} from './collectors.ts';
import {commitMutants} from './commits.ts';
import {differenceMutants} from './differences.ts';
import {fingerprintMutants} from './fingerprints.ts';
import {keyMutants} from './keys.ts';
import {leaseMutants} from './leases.ts';
import {lookingMutants} from './looking.ts';
import type {Mutant} from './mutant.ts';
import {postgresMutants} from './postgres.ts';
import {proofMutants} from './proofs.ts';
import {restoreMutants} from './restores.ts';
import {scheduleMutants} from './schedules.ts';

/** Mistakes of PostgreSQL's change tracking are in a test on a server: `servers/postgres/writers`. */
export const mutants: readonly Mutant[] = [
  ...leaseMutants,
  ...commitMutants,
  ...collectorMutants,
  ...fingerprintMutants,
  ...keyMutants,
  ...restoreMutants,
  ...proofMutants,
  ...scheduleMutants,
  ...lookingMutants,
  ...changeMutants,
  ...differenceMutants,
  ...postgresMutants,
];
