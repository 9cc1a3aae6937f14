/**
 * A text as it can stand in a message: tabs as blanks, control characters as their pictures, and nothing left that
 * ends a line or turns the direction of writing around.
 */
export function printable(text: string): string {
  return text
    .toWellFormed()
    .replaceAll('\t', '    ')
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, (character) =>
      character < ' ' ? String.fromCodePoint(0x2400 + character.charCodeAt(0)) : '\ufffd',
    );
}
