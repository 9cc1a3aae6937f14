import type {FileCheck} from '../../sources/index.ts';

/** A notice lists at most this many faults and counts the others. */
const mostListed = 3;

/** Reports what a database's own check found. @param where what was checked */
export function noticeCheck(found: FileCheck | undefined, notice: (text: string) => void, where: string): void {
  if (found === undefined) return;
  const {damage, brokenRules, unchecked} = found;
  if (damage.length > 0) notice(`the database's own check finds damage in ${where}: ${shortened(damage)}`);
  if (brokenRules.length > 0) notice(`rows break rules of their own tables in ${where}: ${shortened(brokenRules)}`);
  if (unchecked.length > 0) notice(`the check of ${where} is incomplete: ${shortened(unchecked)}`);
}

function shortened(lines: readonly string[]): string {
  const more = lines.length - mostListed;
  return lines.slice(0, mostListed).join('; ') + (more > 0 ? `; and ${more} more` : '');
}
