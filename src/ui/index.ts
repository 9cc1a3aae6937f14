import type {LiveOptions} from './live.tsx';
import type {ViewEnd} from './subscribe.ts';

export {leaveNote} from './leave-note.ts';
export {type LinesOptions, showLines} from './lines.ts';
export type {LiveOptions} from './live.tsx';
export {
  type MachineFormat,
  machineFormats,
  renderOperationLine,
  renderOperationListLine,
} from './operation-json.ts';
export {renderOperation, renderOperationList} from './operation-pretty.ts';
export {type Cell, type RowFit, type RowFormat, renderRows} from './rows.ts';
export type {Subscribe, ViewEnd} from './subscribe.ts';
export {type Color, renderTable, type TableRow, type TableStyle} from './table.ts';
export {padTo} from './text.ts';

/** The view for a terminal. Loads Ink and React only here, because no other command needs them. */
export async function showLive(options: LiveOptions): Promise<ViewEnd> {
  const live = await import('./live.tsx');
  return live.showLive(options);
}
