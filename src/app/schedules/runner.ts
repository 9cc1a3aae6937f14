import {rmSync} from 'node:fs';
import {join} from 'node:path';
import * as v from 'valibot';
import {type Home, profileName} from '../../config/index.ts';
import {type Processes, type ProcessIdentity, systemProcesses} from '../../lib/processes.ts';
import {count, text} from '../../lib/schema.ts';
import type {Deps} from '../deps.ts';
import {readNote, writeNote} from '../places/home-notes.ts';

/**
 * Each scheduler leaves a file for each of its profiles in the home, so that other commands know whether anything runs
 * the schedules. The file proves nothing more, and may be lost.
 */
const machine = v.object({name: text, id: text, cards: text});
const schema = v.object({
  /** `timer`: `bkp scheduler --once`, which ends at once. */
  kind: v.picklist(['service', 'timer']),
  atMs: count,
  process: v.object({pid: count, startedAt: text, boot: text, space: text, machine: v.optional(machine)}),
});
type Presence = {kind: 'service' | 'timer'; atMs: number; process: ProcessIdentity};

/** A timer runs every five minutes; a scheduler in another container or on another host reports every round. */
const silentMs = 15 * 60_000;

const fileOf = ({dir}: Home, profile: string) => join(dir, 'schedulers', `${encodeURIComponent(profile)}.json`);

/** Reports that a scheduler runs for a profile. A home that cannot be written only makes other commands warn. */
export function reportRunner(
  home: Home,
  profile: string,
  {kind, nowMs}: {kind: Presence['kind']; nowMs: number},
  processes: Processes = systemProcesses,
): void {
  const presence: Presence = {kind, atMs: Math.floor(nowMs), process: processes.self()};
  writeNote(home, fileOf(home, profile), presence);
}

export function forgetRunner(home: Home, profile: string): void {
  rmSync(fileOf(home, profile), {force: true});
}

/** Whether a scheduler or a timer runs the schedules of the profile. */
export function isRunBySomething(
  home: Home,
  profile: string,
  nowMs: number,
  processes: Processes = systemProcesses,
): boolean {
  const found = readNote<Presence>(schema, fileOf(home, profile));
  if (found === undefined) return false;
  // A report from the future was made before the clock was set back.
  const isRecent = Math.abs(nowMs - found.atMs) < silentMs;
  if (found.kind === 'timer') return isRecent;
  switch (processes.fateOf(found.process)) {
    case 'alive':
      return true;
    case 'unseen':
    case 'elsewhere':
      return isRecent;
    default:
      return false;
  }
}

/** What to tell a user whose schedules nothing runs; undefined if something does. */
export async function nothingRuns(deps: Deps): Promise<{detail: string; next: string} | undefined> {
  const profile = await profileName(deps);
  if (isRunBySomething(deps.home, profile, deps.nowMicros() / 1000)) return undefined;
  return {
    detail: `no process of this home runs the schedules of profile ${profile}`,
    next: 'bkp scheduler, as a service or in a container; or bkp schedule install --systemd (or --crontab)',
  };
}
