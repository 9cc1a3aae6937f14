import type {Connection} from '../connection/connection.ts';

/** How texts without a collation of their own are ordered and written in upper case, in words: `icu de`. */
export async function localeOf(connection: Connection): Promise<string> {
  const {version} = connection.facts;
  const named = version >= 170_000 ? 'datlocale' : version >= 150_000 ? 'daticulocale' : 'NULL';
  const provider = version >= 150_000 ? 'datlocprovider' : "'c'";
  const [row] = await connection.rows(
    `SELECT ${provider}, ${named}, datcollate, datctype FROM pg_database WHERE datname = current_database()`,
  );
  const [providedBy, locale, collate, type] = row!;
  if (providedBy === 'i') return `icu ${locale}`;
  if (providedBy === 'b') return `builtin ${locale}`;
  return collate === type ? collate! : `${collate}, ${type}`;
}

/** Whether they are the same, however the system spells them: `en_US.utf8`, `en_US.UTF-8`. */
export const isSameLocale = (one: string, other: string) => spelled(one) === spelled(other);

const spelled = (locale: string) => locale.toLowerCase().replaceAll('utf-8', 'utf8');
