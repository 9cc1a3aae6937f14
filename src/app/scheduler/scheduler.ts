import {asPlain, BkpError} from '../../errors/index.ts';
import {secondsText} from '../../lib/time.ts';
import {type Operation, type OperationNumber, operationId} from '../../ops/index.ts';
import {backupCollection, backupDatabase, type Statement} from '../../sql/index.ts';
import type {Deps} from '../deps.ts';
import {type Decision, decide} from '../schedules/decide.ts';
import {
  collectionOf,
  type Found,
  keyOf,
  nameOf,
  needsFull,
  type Scheduled,
  scheduledOf,
  situationOf,
  type Try,
} from '../schedules/known.ts';
import {databasePlan} from '../schedules/known-database.ts';
import {reloadStamp} from '../schedules/reload-signal.ts';

/** How long a collection that was made, altered or dropped may stay unnoticed. */
const lookEveryMs = 5 * 60_000;
/** A clock that was set, or a machine that slept, is noticed that soon. */
const longestPauseMs = 30_000;
/** While an operation runs, so that its end is told soon. */
const pauseAtWorkMs = 1000;
/** A backup that begins later than this after its moment was missed, and that is told. */
const lateMs = 60_000;

export type SchedulerOptions = {
  deps: Deps;
  /** Executes a statement with a profile's dependencies, as `bkp sql` does. */
  start: (deps: Deps, statement: Statement) => Promise<{operation?: Operation}>;
  /** Empty: the profile in use. */
  profiles: readonly string[];
  /** One line for each thing that happens. */
  tell: (line: string) => void;
  /** Only what is done or goes wrong is told, not what is found: for one that looks every five minutes. */
  isTerse?: boolean;
};

/** Knows the schedules and starts what is due. It keeps nothing that a new one would miss: what was done tell store and journal. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  #known = new Map<string, readonly Scheduled[]>();
  #profiles: readonly {name: string; deps: Deps}[] = [];
  #lookedMs = Number.NEGATIVE_INFINITY;
  #stamp: string | undefined;
  #hasFailed = false;
  readonly #tries = new Map<string, Try>();
  readonly #toldOthers = new Set<string>();
  readonly #running = new Map<OperationNumber, string>();

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** Operations that it started and that are not done. */
  get running(): readonly string[] {
    return [...this.#running.values()];
  }

  /** Whether something could not be read, or was refused for another reason than that the collection is at work. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Reads settings anew, and every schedule. @throws BkpError when the settings are wrong; what was known then stays */
  async reload(): Promise<void> {
    const {deps, profiles} = this.#options;
    // Before anything is read: what changes meanwhile is read again.
    this.#stamp = reloadStamp(deps.home);
    const wanted = profiles.length === 0 ? [undefined] : profiles;
    const opened: {name: string; deps: Deps}[] = [];
    for (const name of wanted) {
      const own = await deps.again({profile: name});
      await databasePlan(own);
      opened.push({name: name ?? '', deps: own});
    }
    this.#profiles = opened;
    await this.#look();
    const all = this.#all();
    if (this.#options.isTerse) return;
    this.#options.tell(
      all.length === 0
        ? 'nothing is scheduled: no collection has a SCHEDULE, and backup.schedule.cron is not set'
        : `schedules: ${all.map(nameOf).join(', ')}`,
    );
  }

  /** The same for one that runs. Settings that have become wrong are told. @param why a line that says it */
  async reloadOrKeep(why: string): Promise<void> {
    this.#options.tell(why);
    await this.reload().catch((error: unknown) => {
      if (!(error instanceof BkpError)) throw error;
      this.#options.tell(`what was known stays: ${textOf(error)}`);
    });
  }

  /**
   * Starts what is due.
   * @returns how long nothing is due, at most; milliseconds
   */
  async round(): Promise<number> {
    await (await this.#options.deps.journal()).reap();
    await this.#tellEnds();
    if (this.#stamp !== undefined && this.#stamp !== reloadStamp(this.#options.deps.home)) {
      await this.reloadOrKeep(
        'settings and schedules are read anew: the configuration was changed, or reload_config() asked',
      );
    }
    if (this.#nowMs() - this.#lookedMs >= lookEveryMs || (await this.#isAnyDue())) {
      const before = this.#all();
      await this.#look();
      this.#tellChanges(before, this.#all());
    }
    for (const scheduled of this.#all()) {
      if (this.#options.deps.signal.aborted) break;
      const decision = await this.#decide(scheduled);
      if (decision.take !== 'nothing') await this.#run(scheduled, decision);
    }
    let pauseMs = this.#running.size > 0 ? pauseAtWorkMs : longestPauseMs;
    for (const scheduled of this.#all()) {
      const decision = await this.#decide(scheduled);
      if (decision.take === 'nothing' && decision.nextMs !== undefined) {
        pauseMs = Math.min(pauseMs, decision.nextMs - this.#nowMs());
      }
    }
    return Math.max(0, pauseMs);
  }

  #nowMs(): number {
    return Math.floor(this.#options.deps.nowMicros() / 1000);
  }

  #all(): readonly Scheduled[] {
    return [...this.#known.values()].flat();
  }

  async #decide(scheduled: Scheduled): Promise<Decision> {
    return decide(await situationOf(scheduled, this.#tries.get(keyOf(scheduled))), this.#nowMs());
  }

  async #isAnyDue(): Promise<boolean> {
    for (const scheduled of this.#all()) if ((await this.#decide(scheduled)).take !== 'nothing') return true;
    return false;
  }

  /** Of a store that cannot be read now, what was known stays: the source may be backed up all the same when it is back. */
  async #look(): Promise<void> {
    this.#lookedMs = this.#nowMs();
    const known = new Map<string, readonly Scheduled[]>();
    for (const {name, deps} of this.#profiles) {
      try {
        const {scheduled, others} = await scheduledOf(deps);
        known.set(name, scheduled);
        for (const other of others) this.#tellOther(name, other);
      } catch (error) {
        known.set(name, this.#known.get(name) ?? []);
        this.#hasFailed = true;
        this.#tell(name, `the schedules cannot be read: ${textOf(error)}`);
      }
    }
    this.#known = known;
  }

  async #run(scheduled: Scheduled, {take, dueMs, isFirst}: Exclude<Decision, {take: 'nothing'}>): Promise<void> {
    const name = nameOf(scheduled);
    const nowMs = this.#nowMs();
    if (isFirst) this.#options.tell(`${name}: no backup of it is known: one is taken now`);
    if (nowMs - dueMs > lateMs)
      this.#options.tell(`${name}: the run of ${secondsText(dueMs * 1000)} was missed and is made up now`);
    const tried: Try = {atMs: nowMs};
    this.#tries.set(keyOf(scheduled), tried);
    try {
      tried.operation = await this.#start(scheduled, take);
    } catch (error) {
      const {code} = asPlain(error);
      if (take === 'incremental' && needsFull(code)) {
        this.#options.tell(`${name}: ${textOf(error)}; a full backup is taken instead`);
        return this.#run(scheduled, {take: 'full', dueMs: nowMs});
      }
      if (code !== 'BUSY') this.#hasFailed = true;
      this.#options.tell(
        code === 'BUSY'
          ? `${name}: the run of ${secondsText(dueMs * 1000)} is skipped: ${textOf(error)}`
          : `${name}: the run of ${secondsText(dueMs * 1000)} was refused: ${textOf(error)}`,
      );
    }
  }

  async #start(scheduled: Scheduled, take: 'full' | 'incremental'): Promise<OperationNumber | undefined> {
    const collection = collectionOf(scheduled);
    const statement =
      collection === undefined
        ? backupDatabase
        : backupCollection(collection.name, {incremental: take === 'incremental'});
    const {operation} = await this.#options.start(scheduled.deps, statement);
    if (operation === undefined) return undefined;
    this.#running.set(operation.number, operationId(operation));
    this.#options.tell(`${nameOf(scheduled)}: ${operationId(operation)} started`);
    return operation.number;
  }

  async #tellEnds(): Promise<void> {
    const journal = await this.#options.deps.journal();
    for (const [number, id] of this.#running) {
      const state = await stateOf(journal.get(number));
      if (state !== undefined && state.name !== 'done') continue;
      this.#running.delete(number);
      if (state === undefined) continue;
      const {outcome} = state;
      this.#options.tell(
        outcome.status === 'ERROR' ? `${id} failed: ${outcome.error.message}` : `${id} ended: ${outcome.status}`,
      );
    }
  }

  /** A store that is not there (a disk that is not mounted) looks like one that was never made: then this is all that tells. */
  #tellChanges(before: readonly Scheduled[], after: readonly Scheduled[]): void {
    const names = (some: readonly Scheduled[], others: readonly Scheduled[]) => {
      const known = new Set(others.map(keyOf));
      return some.filter((one) => !known.has(keyOf(one))).map(nameOf);
    };
    for (const name of names(after, before)) this.#options.tell(`${name} is scheduled now`);
    for (const name of names(before, after)) {
      this.#options.tell(`${name} is not scheduled any more: it was dropped or altered, or its store is away`);
    }
  }

  /** Once. */
  #tellOther(profile: string, other: Found['others'][number]): void {
    const key = keyOf(other);
    if (this.#options.isTerse || this.#toldOthers.has(key)) return;
    this.#toldOthers.add(key);
    const {name, source} = other.collection;
    this.#tell(profile, `${name} is left alone: its backups are of ${source?.description}, another database`);
  }

  #tell(profile: string, line: string): void {
    this.#options.tell(profile === '' ? line : `profile ${profile}: ${line}`);
  }
}

/** @returns undefined for an operation that somebody has forgotten */
async function stateOf(found: Promise<Operation>): Promise<Operation['state'] | undefined> {
  try {
    return (await found).state;
  } catch (error) {
    if (error instanceof BkpError && error.code === 'OPERATION_NOT_FOUND') return undefined;
    throw error;
  }
}

/** Whatever it is: what is wrong with one collection must not keep the others from being backed up. */
function textOf(error: unknown): string {
  const {message, cause} = asPlain(error);
  return cause === undefined ? message : `${message} (${cause})`;
}
