-- Which runs count, and what tells them apart: the base of the report.
--
-- Of each sweep, rule, choice of options, task and seed the newest run that is done or diverged counts.
--
--   run_id
--   run                the start of the run's key
--   sweep              the `name:` of the YAML file
--   rule
--   task               that the run is trained on
--   options            that the sweep varies for this rule and task, beside the seed and the learning rate
--   lr                 train.lr
--   seed
--   state              done or diverged
--   parameters         learned numbers
--   state_bytes        to continue decoding one sequence of the training length
--   train_tokens       steps times tokens a step
--   seq_len            train.seq_len
--   valid_loss         the newest value of metric valid/loss
--   tokens_per_second  in training: the median of the newest 31 values
--   ended_at           UTC
with
choice as (
  select run_id, sweep, group_concat(path || '=' || value, ', ') as options
  from (select * from varied_setting where path <> 'train.lr' order by run_id, sweep, place)
  group by run_id, sweep
),
ranked as (
  select run.*, sweep.name as sweep, coalesce(options, '') as options, config_json ->> '$.train.lr' as lr,
    row_number() over (
      partition by sweep.name, rule, coalesce(options, ''), config_json ->> '$.train.lr', task, seed
      order by ended_at desc, run.id desc) as newest
  from run
  join sweep on sweep.run_id = run.id
  left join choice on choice.run_id = run.id and choice.sweep = sweep.name
  where state in ('done', 'diverged')
)
select
  ranked.id as run_id, substr(key, 1, 12) as run, sweep, rule, task, options, lr, seed, state, parameters, state_bytes,
  steps * tokens_per_step as train_tokens, config_json ->> '$.train.seq_len' as seq_len,
  (select value from metric where run_id = ranked.id and name = 'valid/loss' and value is not null
   order by step desc limit 1) as valid_loss,
  tokens_per_second,
  ended_at
from ranked left join run_speed on run_speed.run_id = ranked.id
where newest = 1
order by sweep, task, rule, options, lr, seed;
