/** What follows the scheme of a store or a source, and values that are named like secrets; to the end of a string. */
const places = [
  /(?<=['"][a-z][a-z0-9+.-]*(?:::|:\/\/))[^'"]+/gi,
  /(?<=\b[a-z][a-z0-9+.-]*(?:::|:\/\/))[^\s'"`]+/gi,
  /(?<=\b\w*(?:passw|passphrase|secret|token|access_?key)\w*\s*=\s*)(?:'[^']+|"[^"]+|[^\s;,)'"]+)/gi,
];

const hidden = '***';

/**
 * A statement as messages may show it. It is not known what it means: it does not parse.
 * @param offset a place in the text
 * @returns the text with `***` for each secret, and the same place in it
 */
export function hideSecrets(text: string, offset: number): {text: string; offset: number} {
  let found = {text, offset};
  for (const place of places) found = hideMatches(found, place);
  return found;
}

function hideMatches({text, offset}: {text: string; offset: number}, place: RegExp): {text: string; offset: number} {
  let moved = offset;
  const shown = text.replace(place, (secret: string, at: number) => {
    const quote = /^['"]/.exec(secret)?.[0] ?? '';
    const end = at + secret.length;
    if (offset >= end) moved += quote.length + hidden.length - secret.length;
    else if (offset > at) moved -= offset - at;
    return quote + hidden;
  });
  return {text: shown, offset: moved};
}
