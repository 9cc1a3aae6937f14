import type {Mutant} from './mutant.ts';

const budget = 'src/vault/ledger/budget.ts';
const match = 'src/backups/keep/match.ts';
const retention = 'src/backups/retention.ts';
const fold = 'src/collections/backup/fold.ts';
const attempts = 'src/app/statements/attempts.ts';
const check = 'src/app/schedules/check.ts';
const compare = 'src/collections/care/compare.ts';
const compared = 'test/e2e/compare.test.ts';
const ledger = 'test/vault/ledger/ledger.test.ts';
const rules = 'test/backups/keep/match.test.ts';
const decisions = 'test/backups/retention.test.ts';
const folds = 'test/collections/backup/fold.test.ts';
const attempted = 'test/app/statements/attempts.test.ts';
const checks = 'test/app/schedules/check.test.ts';

/** Drills and comparisons, healing, verification by a budget, which backups stay, and that every attempt counts. */
export const proofMutants: readonly Mutant[] = [
  {
    name: 'drill: a query that does not hold passes',
    file: 'src/backups/drill.ts',
    from: '.filter(({held}) => !held)',
    to: '.filter(({held}) => held === undefined)',
    killedBy: ['test/e2e/drill.test.ts', 'a query holds only if it returns one row that begins with something true'],
  },
  {
    name: 'source: every table is equal',
    file: compare,
    from: 'const isEqual = rows === expected && ',
    to: 'const isEqual = rows !== -1 || ',
    killedBy: [compared, "LEVEL='source' names tables, numbers and keys of rows that the change log missed"],
  },
  {
    name: 'source: a comparison of no table passes',
    file: compare,
    from: 'if (compared.size === 0) throw nothingCompared',
    to: 'if (compared.size === -1) throw nothingCompared',
    killedBy: [compared, "LEVEL='source' is refused where nothing could be compared"],
  },
  {
    name: 'heal: the other vault is not read',
    file: 'src/backups/heal.ts',
    from: 'await writer.heal(unreliable, from);',
    to: 'await writer.heal(unreliable, []);',
    killedBy: [
      'test/app/statements/verified.test.ts',
      'VERIFY with HEAL repairs a damaged store from a copy, and its backups restore',
    ],
  },
  {
    name: 'budget: the newest packs first',
    file: budget,
    from: 'byAge(a.verifiedMs, b.verifiedMs) || byAge(a.modifiedMs, b.modifiedMs)',
    to: 'byAge(a.verifiedMs, b.verifiedMs) || byAge(b.modifiedMs, a.modifiedMs)',
    killedBy: [ledger, 'a budget reads packs that were never verified, oldest first, then the least recently verified'],
  },
  {
    name: 'budget: the most recently verified first',
    file: budget,
    from: 'byAge(a.verifiedMs, b.verifiedMs) ||',
    to: 'byAge(b.verifiedMs, a.verifiedMs) ||',
    killedBy: [ledger, 'a nightly budget guarantees how long ago any byte was verified'],
  },
  {
    name: 'budget: it has no end',
    file: budget,
    from: 'return at > 0 && sum > bytes;',
    to: 'return false;',
    killedBy: [ledger, 'a budget reads packs that were never verified, oldest first, then the least recently verified'],
  },
  {
    name: 'budget: a pack need not have its name',
    file: budget,
    from: 'return hasher.hex() === pack;',
    to: 'return true;',
    killedBy: [ledger, 'a damaged pack is found by a budget, and is read again every time until it is repaired'],
  },
  {
    name: 'keep: a rule keeps one backup too few',
    file: match,
    from: 'if (position === limit) return;',
    to: 'if (position === limit - 1) return;',
    killedBy: [rules, 'each rule keeps exactly the backups of its definition, in any time zone'],
  },
  {
    name: 'keep: a day has every backup',
    file: match,
    from: 'if (!isNew && at < spans.length - 1) continue;',
    to: '',
    killedBy: [rules, 'each rule keeps exactly the backups of its definition, in any time zone'],
  },
  {
    name: 'keep: the oldest backup goes before a rule is satisfied',
    file: match,
    from: 'if (!isNew && at < spans.length - 1) continue;',
    to: 'if (!isNew) continue;',
    killedBy: [rules, 'the oldest backup stays until a rule has found as many as it may keep'],
  },
  {
    name: 'keep: within goes back from the newest backup, also from one in the future',
    file: match,
    from: 'newestFirst.find((ms) => ms <= nowMs)',
    to: 'newestFirst[0]',
    killedBy: [rules, 'a backup named after a time in the future does not shorten what within keeps'],
  },
  {
    name: 'keep: a pinned backup goes',
    file: retention,
    from: "if (pinned) return {kind: 'pinned'};",
    to: '',
    killedBy: [decisions, 'a backup of unknown health, one that is read, and one that is pinned never goes'],
  },
  {
    name: 'keep: a damaged backup counts',
    file: retention,
    from: "newestFirst.filter((one) => unsound === 'keep-all' || isSound(one))",
    to: 'newestFirst.filter(() => true)',
    killedBy: [decisions, 'without readers, pins and backups of unknown health, exactly what must stay stays'],
  },
  {
    name: 'fold: a table never gets a new base',
    file: fold,
    from: 'if (largest > most) return',
    to: 'if (Number.isNaN(largest)) return',
    killedBy: [folds, 'are replaced by a new base when they name an eighth of the rows'],
  },
  {
    name: 'EXCEPT: the table is in the backup',
    file: 'src/collections/backup/members.ts',
    from: "table.state === 'present' && !excepted.includes(table.name)",
    to: "table.state === 'present'",
    killedBy: [
      'test/collections/except.test.ts',
      'leaves tables out, and names them when it is set up, at each backup, and at a restore',
    ],
  },
  {
    name: 'attempts: a refusal is not recorded',
    file: attempts,
    from: 'if (await countsAsAttempt(deps, attempt, asPlain(error).code)) await recordRefusal(deps, attempt, error);',
    to: 'void countsAsAttempt; void recordRefusal; void asPlain;',
    killedBy: [attempted, 'BACKUP DATABASE that is refused is a failed operation of the database'],
  },
  {
    name: 'attempts: a refusal beside a running backup is recorded',
    file: attempts,
    from: 'return running !== undefined && !isBackupKind(running.kind);',
    to: 'return running !== undefined && isBackupKind !== undefined;',
    killedBy: [attempted, 'while another backup runs, a refused one is not recorded; beside other operations it is'],
  },
  {
    name: 'attempts: each round of a timer records a refusal',
    file: 'src/app/orders/refused.ts',
    from: 'if (refusedSinceMs !== undefined && (await isKnown(deps, about, refusedSinceMs))) return;',
    to: 'void isKnown;',
    killedBy: [attempted, 'of the refusals of one scheduled run, one is recorded'],
  },
  {
    name: 'OR FULL: a chain that ended is an error',
    file: 'src/collections/backup/plan.ts',
    from: "if (end !== undefined && wanted === 'incremental') throw end;",
    to: 'if (end !== undefined) throw end;',
    killedBy: [attempted, 'INCREMENTAL OR FULL takes a full backup where no increment is possible, and says why'],
  },
  {
    name: 'schedules: nothing need run them',
    file: check,
    from: 'const idle = await nothingRuns(deps);',
    to: 'const idle = undefined as Awaited<ReturnType<typeof nothingRuns>>;',
    killedBy: [checks, 'CREATE and ALTER with a SCHEDULE, schedule next and doctor say when nothing runs schedules'],
  },
  {
    name: 'schedules: no backup is overdue',
    file: check,
    from: "if (decision.take === 'nothing' || nowMs - decision.dueMs < overdueMs) return [];",
    to: 'if (decision !== undefined) return [];',
    killedBy: [checks, 'doctor fails for an overdue backup, a failed one, and a chain that no increment can continue'],
  },
];
