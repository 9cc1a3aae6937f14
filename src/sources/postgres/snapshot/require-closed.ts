import {BkpError} from '../../../errors/index.ts';
import {quoteName} from '../../../lib/statement-name.ts';
import {namesOf} from '../catalog/depends.ts';
import type {Connection} from '../connection/connection.ts';
import type {Gap} from '../schema/closure.ts';
import type {Entry} from '../schema/entries.ts';
import {asIdent} from '../schema/rewrite.ts';
import type {Selection} from '../schema/select.ts';

/** Longer lists belong into a program. */
const mostNamed = 8;

/**
 * Nothing is missing of what a restore needs, or a restore can do without it, which is named.
 * @throws BkpError `UNSUPPORTED` if no restore could create a table, or what it needs
 */
export async function requireClosed(
  connection: Connection,
  {
    selection,
    gaps,
    notice = () => {},
  }: {
    selection: Selection;
    gaps: readonly Gap[];
    notice: ((text: string) => void) | undefined;
  },
): Promise<void> {
  const names = await namesOf(
    connection,
    gaps.map(({missing}) => missing),
  );
  const why = ({entry, missing, isLate}: Gap) => {
    const {type, name} = names.get(missing)!;
    const what = `${nameOf(entry)} needs the ${type} ${name}`;
    return `${what}, which ${isLate ? 'a restore creates later' : 'is not in the backup'}`;
  };
  const required = gaps.filter(({isOptional}) => !isOptional);
  const [first, ...others] = required;
  if (first !== undefined) {
    const found = required.map(({missing, isLate}) => ({...names.get(missing)!, isLate}));
    const without = 'leave out the table that uses it: EXCEPT (TABLE …), or a collection of the other tables';
    const canBeAdded = found.every(({type, isLate}) => type === 'table' && !isLate);
    const added = [...new Set(found.map(({name}) => `ADD TABLE ${inStatement(name)}`))].join(', ');
    throw new BkpError('UNSUPPORTED', why(first), {
      cause: 'no restore could create it in an empty database',
      details: others.slice(0, mostNamed).map(why),
      next: canBeAdded ? `ALTER BACKUP COLLECTION … ${added}` : without,
    });
  }
  if (selection.without.length > 0) {
    notice(`not in the backup, because they need what is not: ${listed(selection.without.map(nameOf))}`);
  }
  const optional = gaps.filter(({isLate}) => !isLate).map(why);
  if (optional.length > 0) notice(`a restore where that is missing leaves it out: ${listed(optional, '; ')}`);
}

/** `public.orders` as it is, `public."my orders"` in backticks. */
const inStatement = (name: string) => (/^[\w.]+$/.test(name) ? name : quoteName(name));

const nameOf = ({schema, name}: Entry) => (schema === '' ? name : `${asIdent(schema)}.${name}`);

function listed(names: readonly string[], by = ', '): string {
  const more = names.length > mostNamed ? ` and ${names.length - mostNamed} more` : '';
  return `${names.slice(0, mostNamed).join(by)}${more}`;
}
