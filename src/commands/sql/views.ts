import type {Catalogue} from '../../query/index.ts';
import type {Deps} from '../deps.ts';
import {collectionBackupsView, collectionsView} from './view-collections.ts';
import {operationsView} from './view-operations.ts';

/** All that a SELECT can ask for; docs/sql.md describes every column. A view's store is opened when it is named. */
export function selectable(deps: Deps): Catalogue {
  return {
    views: {
      operations: operationsView(deps),
      collections: collectionsView(deps),
      collection_backups: collectionBackupsView(deps),
    },
    scalars: {},
  };
}
