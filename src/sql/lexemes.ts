import {parse} from './grammar.js';

/** A token of a text; comments and white space are left out. `unclosed`: a string, name or comment without its end. */
export type Lexeme = {kind: 'word' | 'name' | 'string' | 'end' | 'unclosed' | 'other'; start: number; end: number};

/** Never throws: every text can be divided into lexemes. */
export function lexemes(text: string): Lexeme[] {
  return parse(text, {startRule: 'Lexemes'}) as Lexeme[];
}

/** @returns true when the text ends in a `;` that is not inside a string, a name or a comment */
export function isComplete(text: string): boolean {
  return lexemes(text).at(-1)?.kind === 'end';
}
