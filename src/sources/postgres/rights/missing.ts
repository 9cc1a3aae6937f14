import type {DatabaseRights, TableRights} from './rights.ts';

/** A right that the role lacks. */
export type MissingRight = {
  /** A sentence without its end: `role app may not read billing.cards`. */
  message: string;
  cause?: string;
  /** Statements that give it, for a role that may. */
  grants: readonly string[];
};

/** So many tables are named in a message. */
const mostNamed = 3;
/** For more tables, one grant of all is simpler. */
const mostGrants = 5;

/** What a backup needs and the role lacks. */
export function missingToRead(tables: readonly TableRights[], {role}: DatabaseRights): readonly MissingRight[] {
  const missing: MissingRight[] = [];
  const unreadable = tables.filter(({unreadable: {schemas, tables: names, sequences}}) =>
    [schemas, names, sequences].some((list) => list.length > 0),
  );
  if (unreadable.length > 0) {
    const all = (part: 'schemas' | 'tables' | 'sequences') => [
      ...new Set(unreadable.flatMap((table) => table.unreadable[part])),
    ];
    const [schemas, names, sequences] = [all('schemas'), all('tables'), all('sequences')];
    const single = [
      ...(schemas.length > 0 ? [`GRANT USAGE ON SCHEMA ${schemas.join(', ')} TO ${role}`] : []),
      ...(names.length > 0 ? [`GRANT SELECT ON ${names.join(', ')} TO ${role}`] : []),
      ...(sequences.length > 0 ? [`GRANT SELECT ON SEQUENCE ${sequences.join(', ')} TO ${role}`] : []),
    ];
    missing.push({
      message: `role ${role} may not read ${listed(unreadable)}`,
      grants: names.length + sequences.length > mostGrants ? [`GRANT pg_read_all_data TO ${role}`] : single,
    });
  }
  const hidden = tables.filter(({isHidden}) => isHidden);
  if (hidden.length > 0) {
    missing.push({
      message: `row-level security would hide rows of ${listed(hidden)} from role ${role}`,
      cause: 'a backup without these rows would look complete',
      grants: [`ALTER ROLE ${role} BYPASSRLS`],
    });
  }
  return missing;
}

/** What increments need besides, of tables that have a primary key. */
export function missingToTrack(tables: readonly TableRights[], rights: DatabaseRights): readonly MissingRight[] {
  const {role, database, mayCreate, foreignOwner, isNameTaken} = rights;
  const missing: MissingRight[] = [];
  if (isNameTaken) {
    missing.push({
      message: 'the schema _bkp belongs to something else than bkp',
      cause: 'changes are logged in a schema of this name, and the one that exists has not its tables',
      grants: ['ALTER SCHEMA _bkp RENAME TO other_bkp'],
    });
  }
  if (foreignOwner !== undefined) {
    missing.push({
      message: `the schema _bkp, in which changes are logged, belongs to role ${foreignOwner}`,
      cause: 'another role set up change tracking, and all backups of a database share it',
      grants: [`GRANT ${foreignOwner} TO ${role}`],
    });
  }
  if (!mayCreate) {
    missing.push({
      message: `role ${role} may not create the schema _bkp, in which changes are logged`,
      grants: [`GRANT CREATE ON DATABASE ${database} TO ${role}`],
    });
  }
  const foreign = tables.filter(({isOwned}) => !isOwned);
  if (foreign.length > 0) {
    const owners = [...new Set(foreign.map(({owner}) => owner))];
    const superusers = [...new Set(foreign.filter(({ownerIsSuperuser}) => ownerIsSuperuser).map(({owner}) => owner))];
    missing.push({
      message: `role ${role} may not track changes of ${listed(foreign)}`,
      cause:
        'only the owner of a table can have triggers that also see replicated changes' +
        (superusers.length > 0 ? `; ${superusers.join(', ')} is a superuser: its members can do everything` : ''),
      grants: owners.map((owner) => `GRANT ${owner} TO ${role}`),
    });
  }
  return missing;
}

function listed(tables: readonly TableRights[]): string {
  const names = tables.slice(0, mostNamed).map(({table}) => table);
  const more = tables.length - names.length;
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** The next step that gives these rights. @param otherwise another way, as the end of the sentence */
export function grantsToType(missing: readonly MissingRight[], otherwise = ''): string {
  const statements = [...new Set(missing.flatMap(({grants}) => grants))].map((grant) => `${grant};`).join(' ');
  return `let a role that may do so execute: ${statements}${otherwise}`;
}
