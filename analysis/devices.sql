-- How near the training of each device and dtype comes to the CPU's in float32.
--
-- Runs that are done and agree in all options but train.dtype and train.threads stand together.
--
--   rule
--   task               that the run is trained on
--   seed
--   device             cpu, cuda
--   dtype              train.dtype
--   loss               the mean of metric train/loss over the last tenth of the steps
--   percent_off        that loss against the CPU's in f32; empty where there is no such run
--   tokens_per_second  the mean of metric train/tokens_per_second over the second half of the steps
--   run                the start of the run's key
with
chosen as (
  select run.*, config_json ->> '$.train.dtype' as dtype,
    json_remove(config_json, '$.name', '$.train.dtype', '$.train.threads') as choice
  from run
  where state = 'done'
),
told as (
  select chosen.id,
    avg(value) filter (where name = 'train/loss' and metric.step > 0.9 * steps) as loss,
    avg(value) filter (where name = 'train/tokens_per_second' and metric.step > 0.5 * steps) as tokens_per_second
  from (select id, steps from chosen) chosen join metric on metric.run_id = chosen.id
  group by chosen.id
),
judge as (
  select choice, avg(loss) as loss
  from chosen join told using (id)
  where device_kind = 'cpu' and dtype = 'f32'
  group by choice
)
select
  rule, task, seed, device_kind as device, dtype,
  round(told.loss, 4) as loss,
  round(100 * (told.loss / judge.loss - 1), 3) as percent_off,
  cast(round(tokens_per_second) as integer) as tokens_per_second,
  substr(key, 1, 12) as run
from chosen join told using (id) left join judge using (choice)
order by task, rule, choice, device, dtype desc, key;
