import {
  decideRetention,
  hasRules,
  isInForce,
  type KeepMatch,
  type KeepRules,
  keepWords,
  keptByRules,
  matchWords,
  type Pin,
  pinUntil,
  type RetentionReason,
  type RetentionRule,
  type RetentionVerdict,
  rulesOf,
  type Standing,
  toVerdict,
  unlessUnreadable,
} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {openCalendar} from '../../schedule/index.ts';
import {quoteName} from '../../sql/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {examineBackup} from '../stored/examine.ts';
import {isLiving, readAllFolders, requireCollection} from '../stored/folder.ts';
import {keepTexts} from '../stored/keep.ts';
import {type Backup, readBackup} from '../stored/manifest.ts';
import {type BackupName, nameMs} from '../stored/names.ts';
import {takenTimes} from '../stored/taken-times.ts';

/** A value, made before anything is removed. */
export type RetentionPlan = {
  collection: string;
  /** The settings that keep backups: `KEEP_LATEST='7'`. Empty: every backup stays. */
  settings: readonly string[];
  /** Of its backups; the time of some may be over. */
  pins: ReadonlyMap<BackupName, Pin>;
  /** Newest first. */
  verdicts: readonly CollectionVerdict[];
  /** Why no backup goes: one that would stay is damaged. */
  damage?: BkpError;
};

/** `rules`: those that keep the backup, as `last` and `daily`, and `pin`. */
export type CollectionVerdict = RetentionVerdict<BackupName> & {rules: readonly string[]};

export type RetentionOptions = {
  nowMs: number;
  /** @returns the id of an operation that is reading the backup */
  readerOf?: ((backup: BackupName) => string | undefined) | undefined;
};

/**
 * Plans what the KEEP_… settings remove. The newest backup, which the next increment builds on, always stays. If one of
 * the backups to keep is damaged, no backup goes, because the others may be all that can still be restored.
 * @throws BkpError `COLLECTION_NOT_FOUND` | `OBJECT_DAMAGED` if the definition, which contains the settings, cannot be
 *   read
 */
export async function planRetention(
  vault: VaultReader,
  collection: string,
  {nowMs, readerOf = () => undefined}: RetentionOptions,
): Promise<RetentionPlan> {
  const {definition, backups, pins} = await requireCollection(vault, collection);
  const {settings} = definition;
  const rules = rulesOf(settings);
  const newestFirst = backups.toReversed();
  const plan = {collection, settings: keepTexts(settings), pins};
  const pinOf = (backup: BackupName) => {
    const pin = pins.get(backup);
    return pin !== undefined && isInForce(pin, nowMs) ? pin : undefined;
  };
  if (!hasRules(rules)) {
    const why = 'the collection has no KEEP_… setting';
    return {
      ...plan,
      verdicts: newestFirst.map((backup) => {
        const pin = pinOf(backup);
        return {
          ...{backup, goes: false, counts: false},
          ...(pin === undefined ? {why, rules: []} : {why: pinUntil(pin), rules: ['pin']}),
        };
      }),
    };
  }
  const rule: RetentionRule = {rules, calendar: openCalendar(settings.scheduleZone), nowMs, unsound: 'keep-all'};
  const times = await timesFor(rules, vault, collection, newestFirst);
  const verified = await newestVerified(vault, collection, newestFirst, rules);
  const candidates = newestFirst.map((backup, at) => ({backup, takenMs: times[at]!, verified: verified.has(backup)}));
  const kept = keptByRules(candidates, rule);
  const damaged =
    kept.length < candidates.length
      ? await damagedOf(
          vault,
          collection,
          kept.map(({backup}) => backup),
        )
      : new Map<BackupName, BkpError>();
  const decisions = decideRetention(
    candidates.map(({backup, ...candidate}) => ({
      ...candidate,
      backup,
      health: damaged.has(backup) ? ('damaged' as const) : undefined,
      reader: readerOf(backup),
      pinned: pinOf(backup) !== undefined,
    })),
    rule,
  );
  const verdicts = decisions.map((decision) => {
    const pin = pinOf(decision.backup);
    return {
      ...toVerdict(decision, (reason) => inWords(reason, {rules, pin})),
      rules: [
        ...(decision.reason.kind === 'counted' ? keepWords(decision.reason.matches) : []),
        ...(pin === undefined ? [] : ['pin']),
      ],
    };
  });
  const [first] = damaged;
  if (first === undefined) return {...plan, verdicts};
  const [backup, cause] = first;
  return {...plan, verdicts, damage: nothingGoes(plan, cause, backup)};
}

/** As many of the newest as KEEP_VERIFIED keeps. */
async function newestVerified(
  vault: VaultReader,
  collection: string,
  newestFirst: readonly BackupName[],
  {verified: most = 0}: KeepRules,
): Promise<ReadonlySet<BackupName>> {
  const found = new Set<BackupName>();
  if (most === 0) return found;
  const survey = await vault.survey();
  for (const backup of newestFirst) {
    if (found.size === most) break;
    const isVerified = async () => {
      const {streams} = await readBackup(vault, collection, backup);
      return (await survey.verifiedMs(streams)) !== undefined;
    };
    if (await unlessUnreadable(isVerified())) found.add(backup);
  }
  return found;
}

/** Only the rules of the calendar need the manifests: the order of the names is the order in time. */
async function timesFor(
  {last: _, verified: __, ...ofCalendar}: KeepRules,
  vault: VaultReader,
  collection: string,
  backups: readonly BackupName[],
): Promise<readonly number[]> {
  return hasRules(ofCalendar) ? takenTimes(vault, collection, backups) : backups.map(nameMs);
}

/** @param backups newest first @throws what keeps a backup from being judged */
async function damagedOf(
  vault: VaultReader,
  collection: string,
  backups: readonly BackupName[],
): Promise<ReadonlyMap<BackupName, BkpError>> {
  const survey = await vault.survey();
  const damaged = new Map<BackupName, BkpError>();
  for (const backup of backups) {
    const standing: Standing<Backup> = await examineBackup(vault, survey, {collection, backup});
    if (standing.state === 'damaged') damaged.set(backup, standing.fault);
    else if (standing.state !== 'sound') throw standing.fault;
  }
  return damaged;
}

function inWords(reason: RetentionReason<BackupName>, {rules, pin}: {rules: KeepRules; pin: Pin | undefined}): string {
  switch (reason.kind) {
    case 'counted':
      return [keptWords(reason.matches, rules), ...(pin === undefined ? [] : [pinUntil(pin)])].join('; ');
    case 'unsound':
      return 'it is damaged: see VERIFY';
    case 'pinned':
      return pinUntil(pin!);
    case 'blocked':
      return `${reason.by}, which ${isLatestOnly(rules) ? 'is newer' : 'the rules keep'}, is damaged`;
    case 'in-use':
      return `${reason.reader} reads it`;
    case 'outdated':
      return isLatestOnly(rules) ? `not one of the newest ${rules.last}` : 'no rule keeps it';
  }
}

const isLatestOnly = ({last, ...others}: KeepRules) =>
  last !== undefined && !hasRules(others) && others.verified === undefined;

function keptWords(matches: readonly KeepMatch[], rules: KeepRules): string {
  const [match] = matches;
  if (!isLatestOnly(rules) || match === undefined || match.rule === 'within') return matchWords(matches);
  const newest = `one of the newest ${match.of}`;
  return match.position === match.of ? `${newest}, until the next backup` : newest;
}

/** Why nothing is removed when something that stays is damaged. */
export function nothingGoes(
  {collection, settings}: Pick<RetentionPlan, 'collection' | 'settings'>,
  cause: BkpError,
  backup?: BackupName,
) {
  const which = `${backup === undefined ? 'a backup' : backup} that ${settings.join(', ')} keeps`;
  return new BkpError('OBJECT_DAMAGED', `no backup of ${collection} was removed: ${which} is damaged`, {
    cause,
    next:
      `VERIFY ${quoteName(collection)} names the damage; BACKUP ${quoteName(collection)} takes a sound backup; ` +
      'the damaged one goes once the settings no longer keep it',
    context: {collection},
  });
}

/** Names of the living collections that have a setting that keeps backups. */
export async function collectionsWithRetention(vault: VaultReader): Promise<readonly string[]> {
  const folders = (await readAllFolders(vault)).filter(isLiving);
  return folders.filter(({newest}) => newest !== undefined && hasRules(rulesOf(newest.settings))).map(({name}) => name);
}
