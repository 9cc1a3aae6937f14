/** What STORAGE = … and `--store` call the two stores of a profile. */
export const storageWords = ['cluster', 's3'] as const;

/**
 * Which of a profile's stores `--store` means: the one of the word, or for an address the object store, which then lies
 * there. Undefined without the option: the command may mean either.
 */
export function chosenStorage({store}: {readonly store?: string}): 'cluster' | 's3' | undefined {
  if (store === undefined) return undefined;
  return storageWords.find((word) => word === store.toLowerCase()) ?? 's3';
}
