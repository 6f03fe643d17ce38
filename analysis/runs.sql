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
done as (
  select run.*, sweep.name as sweep, count(*) over (partition by sweep.name, rule, task) as siblings
  from run join sweep on sweep.run_id = run.id
  where state in ('done', 'diverged')
),
setting as (
  select done.id as run_id, sweep, rule, task, siblings, tree.id as place,
    replace(ltrim(tree.fullkey, '$.'), '"', '') as path, trim(config_json -> tree.fullkey, '"') as value
  from done, json_tree(config_json) tree
  where tree.type not in ('object', 'array') and tree.fullkey not like '$.eval%'
    and tree.fullkey not in ('$.name', '$.rule.name', '$.train.seed', '$.train.lr')
),
varied as (
  select sweep, rule, task, path
  from setting
  group by sweep, rule, task, path
  having count(distinct value) > 1 or count(*) < max(siblings)
),
choice as (
  select run_id, sweep, group_concat(path || '=' || value, ', ') as options
  from (select * from setting join varied using (sweep, rule, task, path) order by run_id, sweep, place)
  group by run_id, sweep
),
ranked as (
  select done.*, coalesce(options, '') as options, config_json ->> '$.train.lr' as lr,
    row_number() over (
      partition by done.sweep, rule, coalesce(options, ''), config_json ->> '$.train.lr', task, seed
      order by ended_at desc, done.id desc) as newest
  from done left join choice on choice.run_id = done.id and choice.sweep = done.sweep
)
select
  id as run_id, substr(key, 1, 12) as run, sweep, rule, task, options, lr, seed, state, parameters, state_bytes,
  steps * tokens_per_step as train_tokens, config_json ->> '$.train.seq_len' as seq_len,
  (select value from metric where run_id = ranked.id and name = 'valid/loss' and value is not null
   order by step desc limit 1) as valid_loss,
  (select value from (
     select value, row_number() over (order by value) as place, count(*) over () as n from (
       select value from metric
       where run_id = ranked.id and name = 'train/tokens_per_second' and value is not null
       order by step desc limit 31))
   where place = n / 2 + 1) as tokens_per_second,
  ended_at
from ranked
where newest = 1
order by sweep, task, rule, options, lr, seed;
