import {SyntaxError as GrammarError, parse as parseScript} from './grammar.js';
import type {Statement} from './statement.ts';
import {type Expectation, type Refusal, refusal, unexpected} from './syntax-error.ts';

/**
 * The statements of a text, separated by `;`, in order; empty for a text of white space and comments.
 * @throws BkpError `SYNTAX` for the first syntax error
 */
export function parse(text: string): Statement[] {
  const refuse = (kind: Refusal, offset: number, detail: string) => {
    throw refusal(text, kind, offset, detail);
  };
  try {
    return parseScript(text, {refuse}) as Statement[];
  } catch (error) {
    if (!(error instanceof GrammarError)) throw error;
    throw unexpected(text, error.location.start.offset, (error.expected ?? []) as Expectation[]);
  }
}
