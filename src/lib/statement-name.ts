/** Names that some place of bkp's grammar takes for a keyword: `BACKUP database`, `RESTORE c TABLE a, table`. */
const ambiguous = /^(database|abort|collection|table)$/i;

/** A name as it is typed in a statement, in backticks if it needs them. */
export function quoteName(name: string, {always = false} = {}): string {
  const bare = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !ambiguous.test(name);
  return bare && !always ? name : `\`${name.replaceAll('`', '``')}\``;
}
