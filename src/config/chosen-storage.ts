/** The words for the two stores of a profile, in STORAGE = … and in `--store`. */
export const storageWords = ['cluster', 's3'] as const;

/**
 * Which of the profile's stores `--store` means: the store of that word, or for an address the object store, whose
 * address it replaces. Undefined without the option: the command may use either.
 */
export function chosenStorage({store}: {readonly store?: string}): 'cluster' | 's3' | undefined {
  if (store === undefined) return undefined;
  return storageWords.find((word) => word === store.toLowerCase()) ?? 's3';
}
