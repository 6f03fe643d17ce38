-- Version 5: two views that several questions of analysis/ stand on. A user's query trusts no function of JSON in a view,
-- but its tables (store/authorizer.h).

-- What tells the runs of a sweep apart, of one rule and task: the settings that it varies, beside the seed. Of those
-- runs that are done or diverged. An option that is unset stands nowhere: one that only some siblings have is varied,
-- too. `place` orders the settings of a run.
create view varied_setting as
with
ended as (
  select run.*, sweep.name as sweep, count(*) over (partition by sweep.name, rule, task) as siblings
  from run join sweep on sweep.run_id = run.id
  where state in ('done', 'diverged')
),
setting as (
  select ended.id as run_id, sweep, rule, task, siblings, tree.id as place,
    replace(ltrim(tree.fullkey, '$.'), '"', '') as path,
    iif(tree.type in ('true', 'false', 'null'), tree.type, tree.atom) as value
  from ended, json_tree(config_json) tree
  where tree.type not in ('object', 'array') and tree.fullkey not like '$.eval%'
    and tree.fullkey not in ('$.name', '$.rule.name', '$.train.seed')
),
varied as (
  select sweep, rule, task, path
  from setting
  group by sweep, rule, task, path
  having count(distinct value) > 1 or count(*) < max(siblings)
)
select run_id, sweep, place, path, value from setting join varied using (sweep, rule, task, path);

-- How fast a run is: of its newest values, up to 31 (a short range of the metric table, however long it was), the
-- median of train/tokens_per_second and train/mfu, the most of train/peak_memory_mib. No row where there is none.
create view run_speed as
with
told as (
  select run.id as run_id, wanted.value as name, newest.value
  from run
  cross join json_each('["train/tokens_per_second", "train/mfu", "train/peak_memory_mib"]') wanted
  cross join metric newest on newest.run_id = run.id and newest.name = wanted.value and newest.value is not null
    and newest.step >= coalesce((
      select step from metric
      where run_id = run.id and name = wanted.value and value is not null
      order by step desc limit 1 offset 30), 0)
)
select run_id,
  avg(value) filter (where name = 'train/tokens_per_second' and is_middle) as tokens_per_second,
  avg(value) filter (where name = 'train/mfu' and is_middle) as mfu,
  max(value) filter (where name = 'train/peak_memory_mib') as peak_memory_mib
from (
  select run_id, name, value,
    row_number() over of_run in ((count(*) over all_of_run + 1) / 2, (count(*) over all_of_run + 2) / 2) as is_middle
  from told
  window all_of_run as (partition by run_id, name), of_run as (partition by run_id, name order by value)
)
group by run_id;
