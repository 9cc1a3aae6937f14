import {Box, render, Static, Text, useApp, useInput, useStdin, useWindowSize} from 'ink';
import {useEffect, useReducer, useState} from 'react';
import {type Operation, operationId} from '../ops/index.ts';
import {FinishedBlock, RunningBlock, runningWidths} from './live-blocks.tsx';
import type {Subscribe, ViewEnd} from './subscribe.ts';

export type LiveOptions = {
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  colors: boolean;
  subscribe: Subscribe;
  nowMicros: () => number;
  /** Asked for by `c` and `y`; the view learns of the effect as of any other change. */
  cancel: (operation: Operation) => void;
  /** Aborted: leave; the work goes on. */
  signal: AbortSignal;
  /** Why an operation failed is told by whoever waits for it, and not here. */
  withoutErrors?: boolean;
};

/**
 * The view for a terminal. Ends when all operations are done, or when somebody leaves; what it last showed stays.
 * It draws and asks; the work runs elsewhere and does not notice.
 */
export async function showLive(options: LiveOptions): Promise<ViewEnd> {
  const end: ViewEnd = {why: 'left', operations: []};
  let widths: readonly number[] = [];
  const drawn = (lines: readonly number[]) => {
    widths = lines;
  };
  const app = render(<Live {...options} onDraw={drawn} onEnd={(seen) => Object.assign(end, seen)} />, {
    stdin: options.stdin,
    stdout: options.stdout,
    exitOnCtrlC: false,
    patchConsole: false,
    // Whoever calls has seen a terminal; Ink would not believe it on a machine with CI set.
    interactive: true,
    // Only changed lines are written, so that a bar can grow without flicker.
    incrementalRendering: true,
  });
  // Before Ink hears of it: a terminal that becomes narrower breaks the lines that are too long, and Ink takes away as many
  // rows as it has written.
  const {stdout} = options;
  const takeBroken = () => stdout.write(eraseLine.repeat(brokenRows(widths, stdout.columns)));
  stdout.prependListener('resize', takeBroken);
  try {
    await app.waitUntilExit();
  } finally {
    stdout.off('resize', takeBroken);
  }
  return end;
}

/** Empties the line of the cursor, and goes up to the one above. */
const eraseLine = '\u001b[2K\u001b[1A';

/** Rows that lines of these widths take beyond one each. */
export function brokenRows(widths: readonly number[], columns: number): number {
  return widths.reduce((rows, width) => rows + Math.max(0, Math.ceil(width / columns) - 1), 0);
}

/** Two lines, an empty one between blocks, and the footer with its own empty line. */
const linesPerBlock = 4;
const linesForFooter = 3;

export function Live({
  colors,
  subscribe,
  nowMicros,
  cancel,
  signal,
  withoutErrors = false,
  onDraw,
  onEnd,
}: LiveOptions & {onDraw?: (widths: readonly number[]) => void; onEnd: (end: ViewEnd) => void}) {
  const {exit} = useApp();
  const {isRawModeSupported} = useStdin();
  const {columns, rows} = useWindowSize();
  const [seen, show] = useReducer<Seen | undefined, [readonly Operation[]]>(see, undefined);
  const [selected, setSelected] = useState<number>();
  const [asking, setAsking] = useState<number>();
  const [left, setLeft] = useState(false);

  useEffect(() => subscribe(show), [subscribe]);
  useEffect(() => {
    const leave = () => setLeft(true);
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave);
    return () => signal.removeEventListener('abort', leave);
  }, [signal]);

  const {operations, finished} = seen ?? {operations: [], finished: []};
  const running = operations.filter(({state}) => state.name !== 'done');
  const chosen = running.find(({number}) => number === selected) ?? running[0];
  // The question is void when its operation ends meanwhile: `y` must not reach another one.
  const asked = running.find(({number}) => number === asking);
  const over = left || (seen !== undefined && running.length === 0);

  // After the frame without the footer has been drawn: it is the one that stays.
  useEffect(() => {
    if (!over) return;
    onEnd({why: left ? 'left' : 'finished', operations});
    // Ink draws once more when it ends; in this very turn <Static> has not let go of its last items yet,
    // and they would be printed twice.
    const turn = setImmediate(exit);
    return () => clearImmediate(turn);
  }, [over, left, operations, onEnd, exit]);

  useInput(
    (input, key) => {
      if (asked) {
        if (input === 'y') cancel(asked);
        if (key.ctrl && input === 'c') setLeft(true);
        setAsking(undefined);
        return;
      }
      if (input === 'q' || key.escape || (key.ctrl && input === 'c')) setLeft(true);
      else if (input === 'c' && chosen) setAsking(chosen.number);
      else if (key.downArrow || key.upArrow) setSelected(neighbour(running, chosen, key.downArrow ? 1 : -1));
    },
    {isActive: isRawModeSupported && !over},
  );

  // More blocks than fit would make every frame repaint the whole terminal.
  const room = Math.max(1, Math.floor((rows - linesForFooter) / linesPerBlock));
  const first = Math.max(0, Math.min(chosen ? running.indexOf(chosen) : 0, running.length - room));
  const shown = running.slice(first, first + room);
  const several = running.length > 1;

  const blocks = shown.map((operation) => ({
    ...{operation, columns, nowMicros: nowMicros()},
    marked: several && !over && operation === chosen,
  }));
  const footer = asked
    ? `Cancel ${operationId(asked)}? y/n`
    : isRawModeSupported
      ? `q leave · c cancel${several ? ' · ↑↓ choose' : ''}`
      : 'Ctrl-C leave';
  useEffect(() => onDraw?.([...blocks.flatMap(runningWidths), Math.min(columns, footer.length)]));

  return (
    <>
      <Static items={[...finished]}>
        {(operation) => <FinishedBlock key={operation.number} {...{operation, colors, withoutErrors}} />}
      </Static>
      {/* No width of ours: after a resize Ink first redraws what it has, and cuts it to its own new width. */}
      <Box flexDirection="column">
        {blocks.map((block) => (
          <RunningBlock key={block.operation.number} colors={colors} {...block} />
        ))}
        {running.length > shown.length && <Text>and {running.length - shown.length} more</Text>}
        {!over && seen !== undefined && (
          <Text wrap="truncate" dimColor={colors && !asked}>
            {footer}
          </Text>
        )}
      </Box>
    </>
  );
}

type Seen = {
  operations: readonly Operation[];
  /** Those that are done, in the order in which they were seen to end: what stands above the frame only grows. */
  finished: readonly Operation[];
};

function see(before: Seen | undefined, operations: readonly Operation[]): Seen {
  const finished = before?.finished ?? [];
  const known = new Set(finished.map(({number}) => number));
  const fresh = operations.filter(({state, number}) => state.name === 'done' && !known.has(number));
  return {operations, finished: fresh.length === 0 ? finished : [...finished, ...fresh]};
}

function neighbour(running: readonly Operation[], chosen: Operation | undefined, step: number): number | undefined {
  const at = chosen === undefined ? 0 : running.indexOf(chosen) + step;
  return running[Math.min(Math.max(at, 0), running.length - 1)]?.number;
}
