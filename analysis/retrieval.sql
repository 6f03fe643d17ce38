-- How much each rule recalls, by pairs, length and depth.
--
-- Every accuracy that a run was scored on at its last step, for tasks that state pairs or a depth. Of
-- each sweep, rule, training task, configuration and seed the newest run that is done counts; equal
-- settings but for the seed share a row.
--
--   rule
--   task         that was scored
--   pairs        stored in the context (settings.pairs)
--   length       tokens of context
--   depth        of the wanted item: 0 oldest, 1 newest
--   accuracy     mean over seeds
--   chance       accuracy of guessing (settings.chance)
--   lowest       accuracy of the worst seed
--   highest      accuracy of the best seed
--   items        behind one seed's accuracy
--   seeds
--   state_bytes  to continue decoding one sequence of the training length
--   sweep        the `name:` of the YAML file
--   settings     all that fixes the number
with
ranked as (
  select run.*, sweep.name as sweep, json_remove(config_json, '$.train.seed') as configuration,
    row_number() over (
      partition by sweep.name, rule, task, seed, json_remove(config_json, '$.train.seed')
      order by ended_at desc, run.id desc) as newest
  from run join sweep on sweep.run_id = run.id
  where state = 'done'
),
score as (
  select ranked.rule, ranked.sweep, ranked.configuration, ranked.seed, ranked.state_bytes, evaluation.*,
    settings_json ->> 'pairs' as pairs, settings_json ->> 'chance' as chance,
    json_remove(settings_json, '$.seed') as settings
  from ranked join evaluation on evaluation.run_id = ranked.id and evaluation.step = ranked.step
  where newest = 1 and evaluation.metric = 'accuracy'
)
select rule, task, pairs, length, depth, avg(value) as accuracy, avg(chance) as chance, min(value) as lowest,
  max(value) as highest, max(n) as items, count(distinct seed) as seeds, max(state_bytes) as state_bytes,
  sweep, settings
from score
where pairs is not null or depth is not null
group by sweep, task, pairs, length, depth, settings, rule, configuration
order by sweep, task, pairs, length, depth, settings, accuracy desc, rule;
