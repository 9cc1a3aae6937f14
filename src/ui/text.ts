import {widthOf} from '../lib/text.ts';

/** @returns the text padded with spaces to `width` columns; a longer text unchanged */
export function padTo(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}
