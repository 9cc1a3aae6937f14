import * as v from 'valibot';
import type {BkpError} from '../errors/index.ts';
import {count, name, text, time} from '../lib/schema.ts';
import type {Key} from '../stores/index.ts';
import type {VaultReader} from '../vault/index.ts';
import {readDocument} from './manifests.ts';

/** What a verification did beyond reading the store: `restore` is a drill, `source` a comparison with the database. */
export type ReportLevel = 'restore' | 'source';

/** `equal`: its rows were compared, and are those that were expected. `unknown`: there was nothing to compare with. */
export type ReportedTable = {
  name: string;
  /** Rows that were found. */
  rows: number;
  /** Rows that were expected; absent if the backup did not record them. */
  expected?: number | undefined;
  content: 'equal' | 'different' | 'unknown';
};

export type ReportedCheck = {sql: string; held: boolean; found: string};

/** What a verification checked and found; docs/format.md describes it. Times are ISO, UTC. */
export type Report = {
  version: 1;
  level: ReportLevel;
  outcome: 'passed' | 'failed';
  /** Absent for a backup of a whole database, which has an `instance`. */
  collection?: string | undefined;
  instance?: string | undefined;
  backup: string;
  takenAt: string;
  startedAt: string;
  endedAt: string;
  /** Until the restored database was complete and checked; absent if nothing was restored, or not to the end. */
  restoreSeconds?: number | undefined;
  /** What was checked, and against what: complete sentences. */
  checked: readonly string[];
  /** What was not: complete sentences. */
  notChecked: readonly string[];
  tables: readonly ReportedTable[];
  queries: readonly ReportedCheck[];
  /** Empty exactly if it passed. */
  faults: readonly string[];
  by: ReportAuthor;
  /** The same for people. */
  page: string;
};

export type ReportAuthor = {bkp: string; node: string; sqlite: string; host: string; operation: string};

const reportSchema = v.object({
  version: v.literal(1),
  level: v.picklist(['restore', 'source']),
  outcome: v.picklist(['passed', 'failed']),
  collection: v.exactOptional(name),
  instance: v.exactOptional(name),
  backup: name,
  takenAt: time,
  startedAt: time,
  endedAt: time,
  restoreSeconds: v.exactOptional(v.number()),
  checked: v.array(text),
  notChecked: v.array(text),
  tables: v.array(
    v.object({
      name: text,
      rows: count,
      expected: v.exactOptional(count),
      content: v.picklist(['equal', 'different', 'unknown']),
    }),
  ),
  queries: v.array(v.object({sql: text, held: v.boolean(), found: text})),
  faults: v.array(text),
  by: v.object({bkp: text, node: text, sqlite: text, host: text, operation: text}),
  page: text,
});

/** `<time>_<level>_<outcome>_<8 hex digits>`: a listing of the keys shows when a backup was verified, and how. */
export type ReportId = string & {readonly brand: 'ReportId'};

const idPattern = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z_(restore|source)_(passed|failed)_[0-9a-f]{8}$/;

export type ReportFacts = {id: ReportId; atMs: number; level: ReportLevel; outcome: Report['outcome']};

/** What the id of a report shows; undefined for a text that is none. */
export function reportFacts(id: string): ReportFacts | undefined {
  const found = idPattern.exec(id);
  if (found === null) return undefined;
  const [, year, month, day, hour, minute, second, level, outcome] = found;
  const atMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(atMs)) return undefined;
  return {id: id as ReportId, atMs, level: level as ReportLevel, outcome: outcome as Report['outcome']};
}

/** @param manifest of the backup that the report is about */
export const reportsPrefix = (manifest: Key) => `${manifest.slice(0, -'manifest'.length)}reports/`;

export type DraftReport = Omit<Report, 'version' | 'outcome' | 'page'>;

/** @returns the error if it is damaged, or was removed */
export async function readReport(vault: VaultReader, key: Key): Promise<Report | BkpError> {
  return readDocument<Report>(vault, key, {
    schema: reportSchema as unknown as Parameters<typeof readDocument<Report>>[2]['schema'],
    fault: ({level, outcome}) => {
      const facts = reportFacts(key.slice(key.lastIndexOf('/') + 1));
      return facts?.level === level && facts.outcome === outcome ? undefined : 'it is another report';
    },
  });
}
