// The man(7) macros that the pages need. Every result ends with a newline.

/** One line of words; each is text, or the result of `bold` or `italic`. */
export function line(...words) {
  return `${words.map((word) => (typeof word === 'string' ? escaped(word) : word.roff)).join('')}\n`.replace(
    /^([.'])/,
    '\\&$1',
  );
}

export const bold = (words) => ({roff: `\\fB${escaped(words)}\\fR`});
export const italic = (words) => ({roff: `\\fI${escaped(words)}\\fR`});

export function text(words) {
  return line(words);
}

export function section(name, ...parts) {
  return `.SH ${name}\n${parts.join('')}`;
}

export function subsection(name) {
  return `.SS "${escaped(name)}"\n`;
}

export function definition(term, meaning) {
  return `.TP\n${term}${meaning}`;
}

/** Commands as the user types them, one per line. */
export function examples(commands) {
  return `.PP\n.RS 4\n.nf\n${commands.map((command) => line(`$ ${command}`)).join('')}.fi\n.RE\n`;
}

/** Keeps hyphens as hyphens, so that commands can be copied; writes other characters outside ASCII by number. */
function escaped(words) {
  return words
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replaceAll("'", '\\(aq')
    .replace(
      /[^\x20-\x7e]/gu,
      (character) => `\\[u${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}]`,
    );
}
