/** Whether a text among the values has the character that stands for bytes which are not valid text. */
export const hasReplaced = (values: Iterable<unknown>): boolean => {
  for (const value of values) if (typeof value === 'string' && value.includes('\ufffd')) return true;
  return false;
};

/** @param rows how many {@link hasReplaced} @returns what readers of text must know of them; empty without any */
export const replacedNotices = (rows: number): readonly string[] =>
  rows === 0
    ? []
    : [
        `${rows} ${rows === 1 ? 'row has' : 'rows have'} texts with the character U+FFFD, which also stands for ` +
          'bytes that are not valid text; an export to a database file has them exactly',
      ];
