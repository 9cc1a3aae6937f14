import type {Environment} from '../config/index.ts';

/** A command needs these to run bkp itself. */
const kept = ['BKP_HOME', 'BKP_PROFILE'];

/**
 * The environment of a notification command. The variables of bkp and QuestDB are left out, because stores, sources
 * and webhooks may contain secrets, and so are the keys and tokens of the AWS tools and the passwords of PostgreSQL's:
 * the command does not need access to the backups or the database.
 */
export function commandEnvironment(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => kept.includes(name.toUpperCase()) || !isOurs(name)));
}

/** Ignores case, because names of environment variables on Windows do. */
function isOurs(name: string): boolean {
  return /^(BKP_|QDB_|AWS_\w*(KEY|TOKEN|SECRET|CREDENTIAL)|PG(PASSWORD|SSLPASSWORD)$)/i.test(name);
}
