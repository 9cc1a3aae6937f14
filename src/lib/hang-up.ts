/**
 * SIGHUP ends a process without the reset of the terminal that Node makes for SIGTERM and SIGINT: the shell would get
 * it without echo.
 * @param restore leaves the terminal as it was
 * @returns ends this
 */
export function restoreOnHangUp(restore: () => void): () => void {
  const hangUp = () => {
    restore();
    // This was the only listener, so it ends the process.
    process.kill(process.pid, 'SIGHUP');
  };
  process.once('SIGHUP', hangUp);
  return () => void process.off('SIGHUP', hangUp);
}
