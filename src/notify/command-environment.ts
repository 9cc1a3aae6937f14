import type {Environment} from '../config/index.ts';

/** What a command needs to ask bkp for more. */
const kept = ['BKP_HOME', 'BKP_PROFILE'];

/**
 * The environment of a command that is told of an end. Everything of bkp's own and of QuestDB's is left out, because stores,
 * sources and webhooks may hold secrets there, and so are the keys and tokens of the AWS tools: a command that alarms somebody
 * has no need of the backups.
 */
export function commandEnvironment(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => kept.includes(name.toUpperCase()) || !isOurs(name)));
}

/** Names in the environment of Windows do not tell capitals from small letters. */
function isOurs(name: string): boolean {
  return /^(BKP_|QDB_|AWS_\w*(KEY|TOKEN|SECRET|CREDENTIAL))/i.test(name);
}
