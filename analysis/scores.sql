-- Every score: of each run at its last step, and of models from elsewhere.
--
--   evaluation  its id: `select * from evaluation_item where evaluation_id = …` has the items behind it
--   run_id      empty for a model from elsewhere
--   model       of such a model, the start of its digest
--   task        that was scored
--   metric
--   length      tokens of context
--   depth       of the wanted item: 0 oldest, 1 newest
--   data        the name of its file
--   settings    all else that fixes the number, but for the seed of the data
--   n           items or tokens that value is a mean over
--   value
--   stderr      standard error of value
--   low         of its 95 % interval over items
--   high        of the same
select
  evaluation.id as evaluation, evaluation.run_id, iif(run_id is null, substr(model_digest, 1, 12), null) as model,
  evaluation.task, metric, length, depth,
  coalesce(settings_json ->> 'data_file', iif(evaluation.task = run.task, config_json ->> '$.data.path', null)) as data,
  json_remove(settings_json, '$.seed', '$.data_file') as settings, n, value, stderr, low, high
from evaluation left join run on run.id = evaluation.run_id
where run.id is null or (evaluation.step = run.step and run.state = 'done')
order by evaluation.task, metric, length, depth, settings, evaluation.id;
