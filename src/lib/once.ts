/** Does it the first time only: memory that is given back twice would be used by two at the same time. */
export function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    action();
  };
}
