import {expect, test} from 'vitest';
import {RestorePhases} from '../../../src/collections/restore/phases.ts';

test('loading is a part of a restore, and each later phase begins where the one before ends', () => {
  for (const check of ['quick', 'full'] as const) {
    for (const builds of [false, true]) {
      for (const into of ['file', 'database', 'server', 'tables'] as const) {
        const phases = new RestorePhases({check, builds, into});
        const last = into === 'tables' ? 'Merge' : 'Publish';
        const steps = ['TransferData', 'Indexes', 'References', 'Check', last].map((phase) => phases.whole(phase));
        expect(steps[0]).toBe(0);
        expect([...steps].sort((a, b) => a - b)).toEqual(steps);
        expect(phases.whole('TransferData', 1)).toBeCloseTo(steps[1]!);
        expect(phases.whole(last, 1)).toBeCloseTo(1);
        expect(phases.whole('TransferData', 0.5)).toBeLessThan(0.5);
      }
    }
  }
});
