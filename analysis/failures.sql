-- Which runs did not reach their end, and why.
--
--   run        the start of the run's key
--   name
--   rule
--   task       that the run is trained on
--   seed
--   state      failed, diverged or interrupted
--   step       that it reached
--   steps      that it was to take
--   error
--   last_loss  the newest finite train/loss
--   ended_at   UTC
--   host
--   sweeps     the `name:` of the YAML files that planned it
select
  substr(key, 1, 12) as run, run.name, rule, task, seed, state, step, steps, error,
  (select value from metric
   where metric.run_id = run.id and metric.name = 'train/loss' and value is not null
   order by metric.step desc limit 1) as last_loss,
  ended_at, host,
  (select group_concat(sweep.name, ' ') from sweep where sweep.run_id = run.id) as sweeps
from run left join machine on machine.id = run.machine_id
where state in ('failed', 'diverged', 'interrupted')
order by state = 'interrupted', ended_at desc, run.id;
