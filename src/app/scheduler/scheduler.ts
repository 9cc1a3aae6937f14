import type {BackupType} from '../../collections/index.ts';
import {profileName, valueFiles} from '../../config/index.ts';
import {asPlain, BkpError} from '../../errors/index.ts';
import {secondsText} from '../../lib/time.ts';
import {type Operation, type OperationNumber, operationId} from '../../ops/index.ts';
import type {Statement} from '../../sql/index.ts';
import type {Deps} from '../deps.ts';
import {type Decision, decide} from '../schedules/decide.ts';
import {
  type Found,
  keyOf,
  nameOf,
  openTask,
  type Scheduled,
  scheduledOf,
  situationOf,
  statementOf,
  type Try,
} from '../schedules/known.ts';
import {databasePlan} from '../schedules/known-database.ts';
import {reloadStamp} from '../schedules/reload-signal.ts';
import {forgetRunner, reportRunner} from '../schedules/runner.ts';

/** How long a created, altered or dropped collection may remain unnoticed. */
const lookEveryMs = 5 * 60_000;
/** The longest sleep: a changed clock or a resumed machine is noticed within this time. */
const longestPauseMs = 30_000;
/** The sleep while an operation runs, so that its end is reported soon. */
const pauseAtWorkMs = 1000;
/** A backup that starts later than this after its scheduled time is reported as missed. */
const lateMs = 60_000;
/** `scheduler --once` tries a refused run again each time; the journal gets one refusal of it in this time. */
const recordEveryMs = 24 * 60 * 60_000;

export type SchedulerOptions = {
  deps: Deps;
  /** Executes a statement with a profile's dependencies, as `bkp sql` does. */
  start: (
    deps: Deps,
    statement: Statement,
    options: {refusedSinceMs: number},
  ) => Promise<{operation?: Operation; notices: readonly string[]}>;
  /** Empty: the profile in use. */
  profiles: readonly string[];
  /** Reports one event as a line. */
  tell: (line: string) => void;
  /** Report only actions and errors, not the schedules found: for a timer that runs every five minutes. */
  isTerse?: boolean;
};

/** `name`: as asked for, empty for the profile in use. `profile`: its name when the settings were loaded. */
type OpenProfile = {name: string; profile: string; deps: Deps};

/**
 * Reads the schedules and starts what is due. It can be replaced at any time: store and journal record what was
 * done.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  #known = new Map<string, readonly Scheduled[]>();
  #profiles: readonly OpenProfile[] = [];
  #lookedMs = Number.NEGATIVE_INFINITY;
  /** Files that the environment names. */
  #files: readonly string[] = [];
  #stamp: string | undefined;
  #hasFailed = false;
  readonly #tries = new Map<string, Try>();
  readonly #toldOthers = new Set<string>();
  readonly #running = new Map<OperationNumber, string>();

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** Operations that it started and that have not ended. */
  get running(): readonly string[] {
    return [...this.#running.values()];
  }

  /** Whether something could not be read, or was refused for another reason than a running operation. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Reloads settings and schedules. @throws BkpError when the settings are wrong; the known schedules then stay */
  async reload(): Promise<void> {
    const {deps, profiles} = this.#options;
    // Taken before reading, so that a change during the reload causes another one.
    this.#files = await valueFiles(deps);
    this.#stamp = this.#newStamp();
    const wanted = profiles.length === 0 ? [undefined] : profiles;
    const opened: OpenProfile[] = [];
    for (const name of wanted) {
      const own = await deps.again({profile: name});
      await databasePlan(own);
      opened.push({name: name ?? '', profile: await profileName(own), deps: own});
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

  /** Reloads while running, and reports wrong settings instead of throwing. @param why the line to report first */
  async reloadOrKeep(why: string): Promise<void> {
    this.#options.tell(why);
    await this.reload().catch((error: unknown) => {
      if (!(error instanceof BkpError)) throw error;
      this.#options.tell(`the known schedules stay: ${textOf(error)}`);
    });
  }

  /**
   * Starts what is due.
   * @returns milliseconds until the next round is needed
   */
  async round(): Promise<number> {
    this.#reportRunner();
    await (await this.#options.deps.journal()).reap();
    await this.#tellEnds();
    if (this.#stamp !== undefined && this.#stamp !== this.#newStamp()) {
      await this.reloadOrKeep(
        'settings and schedules are reloaded: the configuration changed, or reload_config() was called',
      );
    }
    // Also after the clock was set back.
    if (Math.abs(this.#nowMs() - this.#lookedMs) >= lookEveryMs || (await this.#isAnyDue())) {
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

  #newStamp(): string {
    return reloadStamp(this.#options.deps.home, this.#files);
  }

  /** Other commands warn when nothing runs the schedules. */
  #reportRunner(): void {
    const kind = this.#options.isTerse ? 'timer' : 'service';
    for (const {deps, profile} of this.#profiles) reportRunner(deps.home, profile, {kind, nowMs: this.#nowMs()});
  }

  /** Call this when no round follows. */
  leave(): void {
    for (const {deps, profile} of this.#profiles) forgetRunner(deps.home, profile);
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

  /** Keeps the known schedules of a store that cannot be read now, so that they run when it is back. */
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
    const running = await openTask(scheduled);
    if (running !== undefined) {
      this.#tries.set(keyOf(scheduled), {atMs: nowMs});
      return this.#options.tell(`${name}: the run of ${secondsText(dueMs * 1000)} is skipped: ${running} still runs`);
    }
    if (isFirst) this.#options.tell(`${name}: no backup of it is known; taking one now`);
    if (nowMs - dueMs > lateMs)
      this.#options.tell(`${name}: the run of ${secondsText(dueMs * 1000)} was missed and is made up for now`);
    const tried: Try = {atMs: nowMs};
    this.#tries.set(keyOf(scheduled), tried);
    try {
      const refusedSinceMs = Math.max(isFirst ? 0 : dueMs, nowMs - recordEveryMs);
      tried.operation = await this.#start(scheduled, {take, refusedSinceMs});
    } catch (error) {
      const {code} = asPlain(error);
      if (code !== 'BUSY') this.#hasFailed = true;
      this.#options.tell(
        code === 'BUSY'
          ? `${name}: the run of ${secondsText(dueMs * 1000)} is skipped: ${textOf(error)}`
          : `${name}: the run of ${secondsText(dueMs * 1000)} was refused: ${textOf(error)}`,
      );
    }
  }

  async #start(
    scheduled: Scheduled,
    {take, refusedSinceMs}: {take: BackupType; refusedSinceMs: number},
  ): Promise<OperationNumber | undefined> {
    const statement = statementOf(scheduled, take);
    const {operation, notices} = await this.#options.start(scheduled.deps, statement, {refusedSinceMs});
    for (const notice of notices) this.#options.tell(`${nameOf(scheduled)}: ${notice}`);
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
      for (const notice of outcome.result.notices ?? []) this.#options.tell(`${id}: ${notice}`);
    }
  }

  /** An unavailable store (an unmounted disk) looks like one that was never created: then only this report shows it. */
  #tellChanges(before: readonly Scheduled[], after: readonly Scheduled[]): void {
    const names = (some: readonly Scheduled[], others: readonly Scheduled[]) => {
      const known = new Set(others.map(keyOf));
      return some.filter((one) => !known.has(keyOf(one))).map(nameOf);
    };
    for (const name of names(after, before)) this.#options.tell(`${name} is scheduled now`);
    for (const name of names(before, after)) {
      this.#options.tell(`${name} is not scheduled any more: it was dropped or altered, or its store is unavailable`);
    }
  }

  /** Once. */
  #tellOther(profile: string, other: Found['others'][number]): void {
    const key = keyOf(other);
    if (this.#options.isTerse || this.#toldOthers.has(key)) return;
    this.#toldOthers.add(key);
    const {name, source} = other.collection;
    this.#tell(profile, `${name} is skipped: its backups are of ${source?.description}, another database`);
  }

  #tell(profile: string, line: string): void {
    this.#options.tell(profile === '' ? line : `profile ${profile}: ${line}`);
  }
}

/** @returns undefined for an operation that was forgotten */
async function stateOf(found: Promise<Operation>): Promise<Operation['state'] | undefined> {
  try {
    return (await found).state;
  } catch (error) {
    if (error instanceof BkpError && error.code === 'OPERATION_NOT_FOUND') return undefined;
    throw error;
  }
}

/** For any error: a fault of one collection must not prevent the backups of others. */
function textOf(error: unknown): string {
  const {message, cause} = asPlain(error);
  return cause === undefined ? message : `${message} (${cause})`;
}
