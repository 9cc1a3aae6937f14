import {journalFacts} from '../../app/health/journal-facts.ts';
import {storeFacts} from '../../app/health/store-facts.ts';
import {absolutePath, profileName} from '../../config/index.ts';
import {ExitStatus} from '../../errors/index.ts';
import type {CommandDeps} from '../deps.ts';
import {renderFamilies} from './exposition.ts';
import {families} from './families.ts';
import {writeTextfile} from './textfile.ts';

export type MetricsOptions = {
  /** Absent: stdout. */
  textfile?: string;
};

/**
 * An unreachable store is a metric like the others: everything else is still measured and printed, stderr has
 * the reason, and the exit status is `partial`.
 */
export async function runMetrics(deps: CommandDeps, {textfile}: MetricsOptions): Promise<ExitStatus> {
  const journal = await journalFacts(await deps.journal());
  const stores = await storeFacts(deps, journal.storesWithBackups);
  const text = renderFamilies(families(stores, journal, deps.nowMicros()), {profile: await profileName(deps)});
  if (textfile === undefined) deps.stdout.write(text);
  else await writeTextfile(absolutePath(textfile, deps.cwd, '--textfile'), text);
  const away = stores.filter((store) => !store.reachable);
  for (const {why} of away) deps.stderr.write(why);
  return away.length === 0 ? ExitStatus.done : ExitStatus.partial;
}
