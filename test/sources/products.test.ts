import {expect, test} from 'vitest';
import {
  capabilitiesOf,
  openCheckpointSource,
  openSource,
  productNames,
  type SourceSpec,
} from '../../src/sources/index.ts';

const specs = {
  postgres: {scheme: 'postgres', description: 'postgres://nowhere/x', parameters: {host: 'nowhere'}, env: {}},
  questdb: {scheme: 'questdb', root: '/nowhere'},
  sqlite: {scheme: 'sqlite', path: '/nowhere/app.db'},
} satisfies Record<SourceSpec['scheme'], SourceSpec>;

test('a product has a name for manifests, and no other has', () => {
  const asFiles = Object.keys(specs).filter((scheme) => scheme !== 'postgres');
  expect([...productNames].sort()).toEqual(asFiles.sort());
});

test.each(productNames)('%s opens as what it declares, and is refused as anything else', async (name) => {
  const {title, tables, checkpoints} = capabilitiesOf(name);
  const refusal = {code: 'UNSUPPORTED', message: expect.stringContaining(title), next: expect.any(String)};
  const opened = openSource(specs[name]);
  if (tables) expect(await opened).toHaveProperty('snapshot');
  else await expect(opened).rejects.toMatchObject(refusal);
  const withCheckpoints = (async () => openCheckpointSource(specs[name]))();
  if (checkpoints) expect(await withCheckpoints).toHaveProperty('heldCheckpoint');
  else await expect(withCheckpoints).rejects.toMatchObject(refusal);
});
