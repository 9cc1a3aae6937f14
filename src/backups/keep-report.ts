import {BkpError} from '../errors/index.ts';
import type {Key} from '../stores/index.ts';
import type {JsonValue, Vault, VaultReader} from '../vault/index.ts';
import {type DraftReport, type Report, type ReportId, reportsPrefix} from './report.ts';
import {reportPage} from './report-page.ts';
import type {WorkTools} from './tools.ts';

/** `reportId` is absent if the report could not be kept, which the notice explains. */
export type KeptReport = {report: Report; reportId?: ReportId};

/**
 * Puts a report beside the backup's manifest. What was found stays true if that fails, so it is a notice then.
 * @param tools.random 8 hex digits
 */
export async function keepReport(
  {vault, signal, random, notice}: Pick<WorkTools, 'signal' | 'notice'> & {vault: Vault; random: string},
  manifest: Key,
  draft: DraftReport,
): Promise<KeptReport> {
  const outcome = draft.faults.length === 0 ? 'passed' : 'failed';
  const report: Report = {version: 1, outcome, ...draft, page: ''};
  report.page = reportPage(report);
  const time = draft.endedAt.slice(0, 19).replace(/[-:T]/g, '');
  const reportId = `${time}Z_${draft.level}_${outcome}_${random}` as ReportId;
  try {
    const writer = await vault.writer({purpose: `operation ${draft.by.operation}`}, {signal});
    try {
      // A report goes with its backup. No collector runs while the lease is held, so the backup stays until then.
      if (!(await hasKey(vault, manifest))) throw new BkpError('BACKUP_NOT_FOUND', 'the backup was removed meanwhile');
      await writer.putDocument(reportsPrefix(manifest) + reportId, asJson(report));
    } finally {
      await writer.close();
    }
    return {report, reportId};
  } catch (error) {
    if (!(error instanceof BkpError) || signal.aborted) throw error;
    notice(`the report was not stored: ${error.message}`);
    return {report};
  }
}

/** Without members that are undefined. */
const asJson = (report: Report) => JSON.parse(JSON.stringify(report)) as JsonValue;

export const isoText = (micros: number) => new Date(micros / 1000).toISOString();

async function hasKey(vault: VaultReader, key: Key): Promise<boolean> {
  const folder = key.slice(0, key.lastIndexOf('/') + 1);
  for await (const found of vault.keys(folder)) if (found === key) return true;
  return false;
}
