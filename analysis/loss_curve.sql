-- How the losses of every run fell, step by step.
--
-- Metrics train/loss and valid/loss, side by side where both were measured; an empty value was not
-- measured at that step, or was not finite.
--
--   run          the start of the run's key
--   rule
--   task         that the run is trained on
--   seed
--   step
--   tokens       seen by then
--   train_loss   mean cross-entropy, nats a token (a labelled position on recall tasks)
--   valid_loss   the same on the validation split
--   state        of the run
--   sweeps       the `name:` of the YAML files that planned it
select
  substr(key, 1, 12) as run, rule, task, seed, metric.step, metric.step * tokens_per_step as tokens,
  max(value) filter (where metric.name = 'train/loss') as train_loss,
  max(value) filter (where metric.name = 'valid/loss') as valid_loss,
  state,
  (select group_concat(sweep.name, ' ') from sweep where sweep.run_id = run.id) as sweeps
from run join metric on metric.run_id = run.id
where metric.name in ('train/loss', 'valid/loss')
group by run.id, metric.step
order by task, rule, seed, run.id, metric.step;
