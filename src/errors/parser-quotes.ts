/** Node quotes what stands before and behind the place, and a short text as a whole. */
const quoting = /^(?:Unexpected token |").* is not valid JSON$/s;

/** The message of an error, without the piece of the text that a parser of JSON quotes in it: it may be a secret. */
export function messageOf(error: Error): string {
  return error.name === 'SyntaxError' ? withoutQuote(error.message) : error.message;
}

/** A library that catches the error of the parser may pass its message on under a name of its own. */
export const withoutQuote = (message: string): string => message.replace(quoting, 'a text is not valid JSON');
