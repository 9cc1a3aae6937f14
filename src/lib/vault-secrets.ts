/** The first line of a recovery kit. */
export const kitTitle = 'bkp recovery kit';

/**
 * Whether a text, where a secret is expected, is the page of a recovery kit, or a part of it that has the line of the
 * key: pages are typed, scanned and cut.
 */
export const isOfKit = (text: string): boolean =>
  text.trimStart().startsWith(kitTitle) || /^[ \t]*Key[ \t]+BKP-KEY/im.test(text);

/** Of the credential by which a service of systemd gets the password: systemd.exec(5), LoadCredential. */
export const credentialName = 'bkp.password';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The variables that hold, or say how to get, the secret of an encrypted vault. No other process gets them: a worker
 * gets the opened keys through a pipe instead, because an environment can be read for as long as a process lives.
 */
const variables = ['BKP_PASSWORD', 'BKP_VAULT_PASSWORD', 'BKP_PASSWORD_COMMAND', 'BKP_VAULT_PASSWORD_COMMAND'];
const names = new Set(variables.flatMap((name) => [name, `${name}_FILE`]));

/** Ignores case, because names of environment variables on Windows do. */
export function withoutVaultSecrets(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !names.has(name.toUpperCase())));
}
