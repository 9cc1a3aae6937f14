import {BkpError} from '../../errors/index.ts';

/**
 * Loads a package that bkp does not bring, because few need it.
 * @param what for what it is needed, as the subject of a sentence
 * @throws BkpError `PRECONDITION` with the command that installs it
 */
export async function optionalPackage<T>(name: string, what: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    if ((cause as {code?: unknown}).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new BkpError('PRECONDITION', `${what} needs the package ${name}, which is not installed`, {
      cause: 'bkp does not bring it, because few vaults need it',
      next: `install it beside bkp: npm install -g ${name}, or without -g if bkp is in a project`,
      context: {package: name},
    });
  }
}
