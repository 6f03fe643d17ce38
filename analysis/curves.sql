-- How the losses of every run fell, at up to 48 points a run: each the mean of its share of the steps.
--
--   run_id
--   metric  train/loss or valid/loss: mean cross-entropy, nats a token (a labelled position on recall tasks)
--   step    the last of the share
--   tokens  seen by then
--   value   empty where none of the share was finite
select run.id as run_id, wanted.value as metric, max(metric.step) as step,
  max(metric.step) * tokens_per_step as tokens, avg(metric.value) as value
from run
cross join json_each('["train/loss", "valid/loss"]') wanted
cross join metric on metric.run_id = run.id and metric.name = wanted.value
group by run.id, wanted.value, (metric.step - 1) * 48 / steps
order by run.id, metric, metric.step;
