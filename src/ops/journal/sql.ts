// Every statement of the journal, by the call that runs it. Each one is its own transaction.

/** The clock may be set back while an operation runs; max() keeps it from ending before it started. */
export const sql = {
  // The SELECT runs under the write lock, so the index one_open is never violated; a violation would use up a number.
  create: `INSERT INTO operation
      (kind, subject, shared, statement, work, created_by, created_at_micros, created_in, created_on, backup)
    SELECT :kind, :subject, :shared, :statement, :work, :createdBy, :now, :boot, :machine, :backup
    WHERE :shared = 1 OR NOT EXISTS (
      SELECT 1 FROM operation WHERE subject = :subject AND state <> 'done' AND shared = 0)
    RETURNING *`,
  holder: "SELECT * FROM operation WHERE subject = :subject AND state <> 'done' AND shared = 0",
  get: 'SELECT * FROM operation WHERE number = :number',
  list: 'SELECT * FROM operation ORDER BY number DESC LIMIT :limit OFFSET :offset',
  listKinds: `SELECT * FROM operation WHERE number IN (
      SELECT number FROM operation WHERE kind IN (SELECT value FROM json_each(:kinds))
      ORDER BY number DESC LIMIT :limit OFFSET :offset)
    ORDER BY number DESC`,
  // Not by OFFSET, which reads what it skips: then reading all pages takes the square of their number.
  below: `SELECT * FROM operation
    WHERE number < :below AND (:kinds IS NULL OR kind IN (SELECT value FROM json_each(:kinds)))
    ORDER BY number DESC LIMIT :limit`,
  open: "SELECT * FROM operation WHERE state <> 'done' ORDER BY number",
  last: 'SELECT * FROM operation ORDER BY number DESC LIMIT 1',
  requestCancel: `UPDATE operation SET
      cancel_requested = 1,
      ended_at_micros = iif(state = 'queued', max(:now, created_at_micros), NULL),
      outcome = iif(state = 'queued', :outcome, NULL),
      state = iif(state = 'queued', 'done', state)
    WHERE number = :number AND state <> 'done' RETURNING *`,
  // json_patch follows RFC 7396: a null in the change removes that limit, a limit that the change does not name stays.
  throttle: `UPDATE operation SET limits = json_patch(coalesce(limits, :before), :change)
    WHERE number = :number AND state <> 'done' RETURNING *`,
  forget: "DELETE FROM operation WHERE number = :number AND state = 'done' RETURNING *",
  assign: `UPDATE operation SET
      worker_pid = :pid, worker_started_at = :startedAt, worker_boot = :boot, worker_space = :space,
      worker_machine = :machine
    WHERE number = :number AND state = 'queued'`,
  claim: `UPDATE operation SET
      state = 'running',
      worker_pid = :pid, worker_started_at = :startedAt, worker_boot = :boot, worker_space = :space,
      worker_machine = :machine,
      started_at_micros = max(:now, created_at_micros), heartbeat_at_micros = :now
    WHERE number = :number AND state = 'queued' RETURNING *`,
  report: `UPDATE operation SET
      phase = :phase, bytes_done = :bytesDone, bytes_total = :bytesTotal, items_done = :itemsDone,
      items_total = :itemsTotal, percent = max(percent, :percent), bytes_per_second = :bytesPerSecond,
      seconds_left = :secondsLeft, heartbeat_at_micros = :now
    WHERE number = :number AND state = 'running' RETURNING *`,
  // json_set takes an argument as JSON only if it is the direct result of a JSON function.
  addNotice: `UPDATE operation SET outcome = json_set(outcome, '$.result.notices',
      json_insert(coalesce(json_extract(outcome, '$.result.notices'), '[]'), '$[#]', :notice))
    WHERE number = :number AND state = 'done' RETURNING *`,
  end: `UPDATE operation SET
      state = 'done', outcome = :outcome, percent = max(percent, :done), bytes_per_second = NULL, seconds_left = NULL,
      ended_at_micros = max(:now, created_at_micros, coalesce(started_at_micros, 0))
    WHERE number = :number AND state <> 'done' AND state = :state AND worker_pid IS :worker RETURNING *`,
};
