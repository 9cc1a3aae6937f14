import {setTimeout as sleep} from 'node:timers/promises';
import {Box, render, Static, Text, useApp, useInput, useStdin, useWindowSize} from 'ink';
import {useEffect, useReducer, useState} from 'react';
import {type Operation, type OperationNumber, operationId} from '../ops/index.ts';
import {FinishedBlock, RunningBlock, runningWidths} from './live-blocks.tsx';
import type {Subscribe, ViewEnd} from './subscribe.ts';

export type LiveOptions = {
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  colors: boolean;
  subscribe: Subscribe;
  nowMicros: () => number;
  /** Called for `c` and `y`; the view shows the effect like any other change. */
  cancel: (operation: Operation) => void;
  /** Aborted: leave; the work continues. */
  signal: AbortSignal;
  /** The caller prints why an operation failed. */
  withoutErrors?: boolean;
};

/**
 * The view for a terminal. Ends when all operations are done, or when the user leaves; its last frame stays. The work
 * runs in other processes and does not depend on it.
 */
export async function showLive(options: LiveOptions): Promise<ViewEnd> {
  const printed = new Set<OperationNumber>();
  for (;;) {
    const end = await showOnce(options, printed);
    if (end.why === 'suspended') await stopUntilContinued();
    if (end.why === 'left' || end.why === 'finished') return {why: end.why, operations: end.operations};
  }
}

/**
 * As Ctrl-Z does where a terminal is not read key by key: stops all processes of the job, until `fg`. A process without
 * a shell that could continue it does not stop.
 */
async function stopUntilContinued(): Promise<void> {
  process.kill(0, 'SIGTSTP');
  // It may stop in the first pause. SIGCONT, for which the next view listens, is delivered before the second one ends.
  for (const _ of [1, 2]) await sleep(50);
}

/**
 * `suspended`: by Ctrl-Z. `continued`: another program had stopped the process. The shell has used the terminal then,
 * so the view begins again below.
 */
type LiveEnd = {why: ViewEnd['why'] | 'suspended' | 'continued'; operations: readonly Operation[]};

/** @param printed the done operations that are on the screen; it adds those that it prints */
async function showOnce(options: LiveOptions, printed: Set<OperationNumber>): Promise<LiveEnd> {
  const end: LiveEnd = {why: 'left', operations: []};
  let widths: readonly number[] = [];
  const drawn = (lines: readonly number[]) => {
    widths = lines;
  };
  const onEnd = (seen: LiveEnd) => Object.assign(end, seen);
  const app = render(<Live {...options} printed={printed} onDraw={drawn} onEnd={onEnd} />, {
    stdin: options.stdin,
    stdout: options.stdout,
    exitOnCtrlC: false,
    patchConsole: false,
    // The caller has checked for a terminal; Ink would ignore it on a machine with CI set.
    interactive: true,
    // Writes only changed lines, so that a bar grows without flicker.
    incrementalRendering: true,
  });
  // Before Ink's own listener: a terminal that becomes narrower wraps lines that are too long, and Ink erases only as
  // many rows as it has written.
  const {stdout} = options;
  const eraseWrapped = () => stdout.write(eraseLine.repeat(wrappedRows(widths, stdout.columns)));
  stdout.prependListener('resize', eraseWrapped);
  const beginAgain = () => {
    end.why = 'continued';
    app.unmount();
  };
  process.on('SIGCONT', beginAgain);
  try {
    await app.waitUntilExit();
  } finally {
    stdout.off('resize', eraseWrapped);
    process.off('SIGCONT', beginAgain);
  }
  return end;
}

/** Erases the cursor's line and moves the cursor up. */
const eraseLine = '\u001b[2K\u001b[1A';

/** How many extra rows lines of these widths take when the terminal wraps them. */
export function wrappedRows(widths: readonly number[], columns: number): number {
  return widths.reduce((rows, width) => rows + Math.max(0, Math.ceil(width / columns) - 1), 0);
}

/** Two lines, an empty one between blocks, and the footer with its own empty line. */
const linesPerBlock = 4;
const linesForFooter = 3;

type LiveProps = LiveOptions & {
  printed?: Set<OperationNumber>;
  onDraw?: (widths: readonly number[]) => void;
  onEnd: (end: LiveEnd) => void;
};

export function Live({
  colors,
  subscribe,
  nowMicros,
  cancel,
  signal,
  withoutErrors = false,
  printed,
  onDraw,
  onEnd,
}: LiveProps) {
  const {exit} = useApp();
  const {isRawModeSupported} = useStdin();
  const {columns, rows} = useWindowSize();
  const [seen, show] = useReducer<Seen | undefined, [readonly Operation[]]>(see, undefined);
  const [selected, setSelected] = useState<number>();
  const [asking, setAsking] = useState<number>();
  const [left, setLeave] = useState<'left' | 'suspended'>();

  useEffect(() => subscribe(show), [subscribe]);
  useEffect(() => {
    const leave = () => setLeave('left');
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave);
    return () => signal.removeEventListener('abort', leave);
  }, [signal]);

  const {operations, finished: all} = seen ?? {operations: [], finished: []};
  const [before] = useState(() => new Set(printed));
  const finished = all.filter(({number}) => !before.has(number));
  useEffect(() => {
    for (const {number} of finished) printed?.add(number);
  });
  const running = operations.filter(({state}) => state.name !== 'done');
  const chosen = running.find(({number}) => number === selected) ?? running[0];
  // Dropped when its operation ends meanwhile: `y` must not cancel another one.
  const asked = running.find(({number}) => number === asking);
  const over = left !== undefined || (seen !== undefined && running.length === 0);

  // After the frame without the footer was drawn, because the last frame stays.
  useEffect(() => {
    if (!over) return;
    onEnd({why: left ?? 'finished', operations});
    // Ink draws once more when it exits; in this turn <Static> still has its last items, which would be printed twice.
    const turn = setImmediate(exit);
    return () => clearImmediate(turn);
  }, [over, left, operations, onEnd, exit]);

  useInput(
    (input, key) => {
      if (asked) {
        if (input === 'y') cancel(asked);
        if (key.ctrl && input === 'c') setLeave('left');
        setAsking(undefined);
        return;
      }
      if (input === 'q' || key.escape || (key.ctrl && input === 'c')) setLeave('left');
      else if (key.ctrl && input === 'z') setLeave('suspended');
      else if (input === 'c' && chosen) setAsking(chosen.number);
      else if (key.downArrow || key.upArrow) setSelected(neighbour(running, chosen, key.downArrow ? 1 : -1));
    },
    {isActive: isRawModeSupported && !over},
  );

  // With more blocks than fit, every frame would repaint the whole terminal.
  const room = Math.max(1, Math.floor((rows - linesForFooter) / linesPerBlock));
  const first = Math.max(0, Math.min(chosen ? running.indexOf(chosen) : 0, running.length - room));
  const shown = running.slice(first, first + room);
  const several = running.length > 1;

  const blocks = shown.map((operation) => ({
    ...{operation, columns, nowMicros: nowMicros()},
    marked: several && !over && operation === chosen,
  }));
  const footer = asked
    ? firstThatFits(columns, `Cancel ${operationId(asked)}? y/n`, `Cancel ${asked.number}? y/n`)
    : isRawModeSupported
      ? firstThatFits(columns, ...(several ? [`${keys} · ↑↓ choose`] : []), keys)
      : 'Ctrl-C leave';
  useEffect(() => onDraw?.([...blocks.flatMap(runningWidths), Math.min(columns, footer.length)]));

  return (
    <>
      <Static items={[...finished]}>
        {(operation) => <FinishedBlock key={operation.number} {...{operation, columns, colors, withoutErrors}} />}
      </Static>
      {/* No explicit width: after a resize Ink first redraws its current content, cut to its own new width. */}
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

const keys = 'q leave · c cancel';

/** The last one is cut if none fits. */
const firstThatFits = (columns: number, ...texts: readonly string[]) =>
  texts.find((text) => text.length <= columns) ?? texts.at(-1)!;

type Seen = {
  operations: readonly Operation[];
  /** Done operations in the order in which they ended: the text above the frame only grows. */
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
