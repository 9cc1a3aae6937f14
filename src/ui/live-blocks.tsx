import {Box, Text} from 'ink';
import {formatDuration, formatPercent} from '../lib/figures.ts';
import {printable, widthOf} from '../lib/text.ts';
import {wrappedIssue} from '../lib/wrap.ts';
import {
  backupOf,
  hasResult,
  issuesOf,
  noticesOf,
  type Operation,
  operationId,
  phaseOf,
  resultOf,
  statusOf,
} from '../ops/index.ts';
import {statusColors} from './operation-pretty.ts';
import {type Figures, figuresOf, issueLines, resultWords} from './operation-words.ts';

const widestBar = 40;
const narrowestBar = 6;

type RunningProps = {
  operation: Operation;
  columns: number;
  colors: boolean;
  nowMicros: number;
  /** Whether `c` would cancel this one. */
  marked: boolean;
};

function textsOf({operation, columns, nowMicros, marked}: Omit<RunningProps, 'colors'>) {
  const elapsed = `elapsed ${formatDuration(elapsedSeconds(operation, nowMicros))}`;
  const percent = formatPercent(operation.progress.percent);
  const withPhase = `${percent}  ${phaseOf(operation)}`;
  const tail = narrowestBar + 1 + widthOf(withPhase) > columns ? percent : withPhase;
  const barWidth = Math.min(widestBar, Math.max(narrowestBar, columns - tail.length - 4));
  return {
    mark: marked ? '› ' : '',
    id: operationId(operation),
    statement: printable(operation.statement),
    barWidth,
    tail,
    figures: fitted({...figuresOf(operation), elapsed}, columns),
  };
}

/** Left out one after the other where a line has no room for all: the bar shows the amount, too. */
const spare = ['rate', 'elapsed', 'amount'] as const;

function fitted(figures: Figures & {elapsed: string}, columns: number): string {
  const kept: Record<string, string> = {...figures};
  const line = () => Object.values(kept).join(' · ');
  for (const name of spare) if (widthOf(line()) > columns && Object.keys(kept).length > 1) delete kept[name];
  return line();
}

/** @returns the width of each line in columns */
export function runningWidths(props: Omit<RunningProps, 'colors'>): number[] {
  const {mark, id, statement, barWidth, tail, figures} = textsOf(props);
  const widths = [widthOf(`${mark}${id} ${statement}`), barWidth + 1 + widthOf(tail), widthOf(figures), 0];
  return widths.map((width) => Math.min(width, props.columns));
}

/** Three lines and an empty one: the statement, the progress bar, and the figures. */
export function RunningBlock({colors, ...props}: RunningProps) {
  const {mark, id, statement, barWidth, tail, figures} = textsOf(props);
  const filled = Math.floor((barWidth * props.operation.progress.percent) / 100);
  return (
    <Box flexDirection="column" marginBottom={1}>
      <Text wrap="truncate">
        {mark}
        <Text bold={colors}>{id}</Text> {statement}
      </Text>
      <Text wrap="truncate">
        <Text {...tint(colors, 'cyan')}>{'█'.repeat(filled)}</Text>
        <Text dimColor={colors}>{'░'.repeat(barWidth - filled)}</Text> {tail}
      </Text>
      <Text wrap="truncate">{figures}</Text>
    </Box>
  );
}

const signs = {PROGRESS: '·', SUCCESS: '✓', PARTIAL: '!', CANCELLED: '–', ERROR: '✗'} as const;

type FinishedProps = {
  operation: Operation;
  columns: number;
  colors: boolean;
  /** The caller prints why it failed. */
  withoutErrors: boolean;
};

/** A done operation; long texts wrap, because this stays on the screen. */
export function FinishedBlock({operation, columns, colors, withoutErrors}: FinishedProps) {
  const status = statusOf(operation);
  const color = statusColors[status];
  const backup = hasResult(operation) ? backupOf(operation) : undefined;
  const {state} = operation;
  const took = state.name === 'done' ? [`in ${formatDuration(elapsedSeconds(operation, state.endedAtMicros))}`] : [];
  const words = [...resultWords(resultOf(operation)), ...took];
  return (
    <Box flexDirection="column" marginBottom={1}>
      <Text>
        <Text {...tint(colors, color)}>{signs[status]}</Text> <Text bold={colors}>{operationId(operation)}</Text>{' '}
        {printable(operation.statement)}
      </Text>
      <Text>
        <Text {...tint(colors, color)}>{status}</Text>
        {backup === undefined ? '' : ` ${printable(backup)}`} {words.join(', ')}
      </Text>
      {(withoutErrors ? noticesOf(operation) : issuesOf(operation)).flatMap(issueLines).map((line) => (
        <Text key={line}>{wrappedIssue(printable(line), columns).join('\n')}</Text>
      ))}
    </Box>
  );
}

/** Since the statement was given: a time since the start of the worker would jump back when the worker starts. */
function elapsedSeconds({createdAtMicros}: Operation, nowMicros: number): number {
  return (nowMicros - createdAtMicros) / 1_000_000;
}

function tint(colors: boolean, color: string): {color?: string} {
  return colors ? {color} : {};
}
