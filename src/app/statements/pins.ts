import {pinBackup, unpinBackup} from '../../collections/index.ts';
import {backupMicros, pinDatabaseBackup, unpinDatabaseBackup} from '../../database/index.ts';
import {BkpError} from '../../errors/index.ts';
import {readPeriod} from '../../lib/period.ts';
import {microsOf, microsText} from '../../lib/time.ts';
import {openCalendar} from '../../schedule/index.ts';
import {backupRef, type Setting} from '../../sql/index.ts';
import type {Deps} from '../deps.ts';
import {objectPlace, placeOfCollection} from '../places/places.ts';
import {withVault} from '../places/workplace.ts';
import {backupAt} from './database-moment.ts';
import {databaseBackupRef} from './database-ref.ts';
import {noticesOf, type StatementOf, type StatementResult} from './result.ts';

/** The pin is in the store when this returns. */
export async function pinStatement(deps: Deps, statement: StatementOf<'pin'>): Promise<StatementResult> {
  const {collection, point} = backupRef(statement.backup, deps.nowMicros());
  const facts = pinFacts(statement, deps.nowMicros());
  const at = {deps, place: await placeOfCollection(deps, collection, {defines: true})};
  const {backup} = await withVault(at, {create: false}, (vault) =>
    pinBackup({vault, nowMicros: deps.nowMicros}, {collection, point, ...facts}),
  );
  return pinned(`${collection}/${backup}`, facts);
}

export async function unpinStatement(deps: Deps, statement: StatementOf<'unpin'>): Promise<StatementResult> {
  const {collection, point} = backupRef(statement.backup, deps.nowMicros());
  const at = {deps, place: await placeOfCollection(deps, collection, {defines: true})};
  const {backup, pin} = await withVault(at, {create: false}, (vault) =>
    unpinBackup({vault, nowMicros: deps.nowMicros}, {collection, point}),
  );
  return unpinned(`${collection}/${backup}`, pin !== undefined);
}

export async function pinDatabase(deps: Deps, statement: StatementOf<'pin-database'>): Promise<StatementResult> {
  const facts = pinFacts(statement, deps.nowMicros());
  return withVault({deps, place: await objectPlace(deps)}, {create: false}, async (vault, place) => {
    const {found, notice} = await backupAt(deps, {place, vault}, {timestamp: statement.timestamp});
    const {instance, backup} = found.body;
    await pinDatabaseBackup({vault, nowMicros: deps.nowMicros}, {instance, backup, ...facts});
    return {...pinned(`${instance}/${microsText(backupMicros(backup))}`, facts), notices: noticesOf(notice)};
  });
}

export async function unpinDatabase(deps: Deps, statement: StatementOf<'unpin-database'>): Promise<StatementResult> {
  return withVault({deps, place: await objectPlace(deps)}, {create: false}, async (vault, place) => {
    const ref = await databaseBackupRef(deps, {place, vault}, statement.timestamp);
    const pin = await unpinDatabaseBackup({vault, nowMicros: deps.nowMicros}, ref);
    return unpinned(`${ref.instance}/${microsText(backupMicros(ref.backup))}`, pin !== undefined);
  });
}

type PinFacts = {until?: string; reason?: string};

const pinned = (backup: string, {until, reason}: PinFacts): StatementResult => ({
  rows: {kind: 'pin', backup, until, reason},
  notices: [],
});

const unpinned = (backup: string, wasPinned: boolean): StatementResult => ({
  notices: wasPinned ? [] : [`${backup} is not pinned`],
});

/** @throws BkpError `BAD_REQUEST` */
function pinFacts({until, settings}: {until?: string; settings: readonly Setting[]}, nowMicros: number): PinFacts {
  const facts: PinFacts = until === undefined ? {} : {until: untilTime(until, nowMicros)};
  for (const {key, value} of settings) {
    if (key !== 'REASON') {
      throw new BkpError('BAD_REQUEST', `${key} is not a setting of PIN`, {next: "write WITH (REASON='…')"});
    }
    facts.reason = reasonValue(value);
  }
  return facts;
}

/** A listing reads the reasons of all pins. */
const longestReason = 500;

function reasonValue(value: string): string {
  const reason = value.trim();
  if (reason !== '' && reason.length <= longestReason) return reason;
  throw new BkpError('BAD_REQUEST', reason === '' ? 'REASON is empty' : `REASON has ${reason.length} characters`, {
    next: `write up to ${longestReason} characters: REASON='before the migration'`,
  });
}

/** A time, or a period from now on: `90 days`. */
function untilTime(written: string, nowMicros: number): string {
  const text = written.trim();
  const nowMs = nowMicros / 1000;
  const period = readPeriod(text.replace(/^\+\s*/, ''));
  const micros = microsOf(text);
  const untilMs =
    period === undefined ? micros && Math.floor(micros / 1000) : openCalendar().after(Math.floor(nowMs), period);
  if (untilMs !== undefined && untilMs > nowMs) return new Date(Math.ceil(untilMs / 1000) * 1000).toISOString();
  const why = untilMs === undefined ? 'is neither a time nor a period' : 'is over already';
  throw new BkpError('BAD_REQUEST', `UNTIL '${text}' ${why}`, {
    next: "write a time, UNTIL '2030-01-01', or a period from now on, UNTIL '90 days'",
  });
}
