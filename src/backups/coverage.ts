import type {Coverage} from '../vault/index.ts';

/** What a verification read, and how far the needed bytes were verified until then, for an operation's result. */
export type CoverageFigures = {
  readBytes: number;
  neededBytes: number;
  neverVerifiedBytes: number;
  /** Of the bytes that were verified, when the least recent ones were; ISO, UTC. */
  oldestVerifiedAt?: string;
};

export function coverageFigures({readBytes, coverage}: {readBytes: number; coverage: Coverage}): CoverageFigures {
  const {neededBytes, neverBytes: neverVerifiedBytes, oldestMs} = coverage;
  const oldest = oldestMs === undefined ? {} : {oldestVerifiedAt: new Date(oldestMs).toISOString()};
  return {readBytes, neededBytes, neverVerifiedBytes, ...oldest};
}
