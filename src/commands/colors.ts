/**
 * Precedence: `--no-color`, `FORCE_COLOR`, `NO_COLOR`, then whether the stream is a terminal.
 * An empty variable counts as absent (https://no-color.org); `FORCE_COLOR=0` or `false` means no colours.
 */
export function colorsWanted(ask: {
  flags: {color: boolean};
  env: Readonly<Record<string, string | undefined>>;
  isTTY: boolean | undefined;
}): boolean {
  if (!ask.flags.color) return false;
  const {FORCE_COLOR: force, NO_COLOR: no, TERM: term} = ask.env;
  if (force) return force !== '0' && force !== 'false';
  if (no) return false;
  return (ask.isTTY ?? false) && term !== 'dumb';
}
