-- What each run was: its resolved YAML.
--
--   run_id
--   run     the start of its key
--   name
--   rule
--   task    that the run is trained on
--   seed
--   state
--   sweeps  the `name:` of the YAML files that planned it
--   yaml    resolved
select
  run.id as run_id, substr(key, 1, 12) as run, run.name, rule, task, seed, state,
  (select group_concat(sweep.name, ' ') from sweep where sweep.run_id = run.id) as sweeps, config_yaml as yaml
from run
order by sweeps, task, rule, run.id;
