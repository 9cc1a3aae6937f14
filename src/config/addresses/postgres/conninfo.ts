import {sourceFault} from '../source-syntax.ts';
import {isParameter, ParameterReader, type Parameters} from './parameters.ts';

/** Whether a text that is neither an address nor a URL begins like `host=… dbname=…`. */
export function isConninfo(text: string): boolean {
  const first = /^\s*(\w+)\s*=/.exec(text);
  return first !== null && (isParameter(first[1]!) || first[1] === 'password');
}

/**
 * Reads libpq's `keyword=value` strings: values may be in single quotes, a backslash takes the next character as it is.
 * Source: https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE
 * @throws BkpError `USAGE`
 */
export function parseConninfo(text: string): Parameters {
  const reader = new ParameterReader();
  const pair = /\s*(?:(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'(?=\s|$)|((?:[^\s'\\]|\\.)*)(?=\s|$))|$)/suy;
  while (pair.lastIndex < text.length) {
    const at = pair.lastIndex;
    const found = pair.exec(text);
    if (found === null) {
      // The rest may contain a password: the message does not show it.
      throw sourceFault(
        `what follows character ${at} is not keyword=value`,
        "write host=db.internal dbname=shop; a value with blanks in '…'",
      );
    }
    const [, name, quoted, plain] = found;
    if (name !== undefined) reader.set(name, (quoted ?? plain ?? '').replaceAll(/\\(.)/gsu, '$1'));
  }
  return reader.values();
}
