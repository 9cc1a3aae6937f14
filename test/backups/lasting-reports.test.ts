import {expect, test} from 'vitest';
import {lastingReports, type ReportFacts, reportFacts} from '../../src/backups/index.ts';

const at = (hour: number, level: string, outcome: string): ReportFacts =>
  reportFacts(`202611211${hour}0000Z_${level}_${outcome}_01234567`)!;

test('of each level the newest report and the newest that passed outlast their backups', () => {
  const [old, passed, failed] = [1, 2, 3].map((hour) => at(hour, 'restore', hour < 3 ? 'passed' : 'failed'));
  const [source, other] = [at(0, 'source', 'failed'), at(0, 'source', 'passed')];
  expect(lastingReports([failed!, old!, passed!])).toEqual(new Set([failed, passed]));
  expect(lastingReports([old!, passed!])).toEqual(new Set([passed]));
  expect(lastingReports([failed!, source, other])).toEqual(new Set([failed, source, other]));
  expect(lastingReports([])).toEqual(new Set());
});
