-- Which rule is best, on text and on recall: one row a rule and sweep.
--
-- Of each sweep, rule, task and seed the newest run that is done counts; values are means over those
-- seeds. A rule's run on task `text` and its run on task `mqar` share a row. Scores are those at the last
-- step of a run. A sweep that varies more than rule, task and seed needs a question of its own: see
-- `retrieval`, `loss_curve`.
--
--   rule
--   parameters         learned numbers; like the next two, of the text run, else of the mqar run
--   state_bytes        to continue decoding one sequence of the training length
--   train_tokens       steps times tokens a step
--   bits_per_byte_1x   text, at the training length: metric bits_per_byte of task text, length_factor 1
--   bits_per_byte_4x   text, at four times the training length: settings.length_factor 4
--   mqar_accuracy      recall by settings.pairs, each with the accuracy of guessing (settings.chance):
--                      `4: 0.981 (chance 0.016)`; the mean over lengths where there are several
--   tokens_per_second  in training on text, else on mqar: the median of metric train/tokens_per_second
--   seeds
--   sweep              the `name:` of the YAML file
with
ranked as (
  select run.*, sweep.name as sweep,
    row_number() over (
      partition by sweep.name, rule, task, seed order by ended_at desc, run.id desc) as newest
  from run join sweep on sweep.run_id = run.id
  where state = 'done' and task in ('text', 'mqar')
),
chosen as (select * from ranked where newest = 1),
score as (
  select chosen.sweep, chosen.rule, chosen.task, evaluation.metric, evaluation.value,
    settings_json ->> 'length_factor' as length_factor, settings_json ->> 'pairs' as pairs,
    settings_json ->> 'chance' as chance
  from chosen join evaluation
    on evaluation.run_id = chosen.id and evaluation.step = chosen.step and evaluation.task = chosen.task
),
speed as (
  select run_id, avg(value) as median
  from (
    select run_id, value, row_number() over (partition by run_id order by value) as place,
      count(*) over (partition by run_id) as n
    from metric
    where run_id in (select id from chosen) and name = 'train/tokens_per_second' and value is not null
  )
  where place in ((n + 1) / 2, (n + 2) / 2)
  group by run_id
),
size as (
  select sweep, rule, task, avg(parameters) as parameters, avg(state_bytes) as state_bytes,
    avg(steps * tokens_per_step) as train_tokens, avg(median) as tokens_per_second
  from chosen left join speed on speed.run_id = chosen.id
  group by sweep, rule, task
),
recall as (
  select sweep, rule, group_concat(cell, ', ') as mqar_accuracy
  from (
    select sweep, rule,
      format('%s: %.3f', pairs, avg(value))
        || iif(avg(chance) is null, '', format(' (chance %.3f)', avg(chance))) as cell
    from score
    where task = 'mqar' and metric = 'accuracy' and pairs is not null
    group by sweep, rule, pairs
    order by sweep, rule, pairs
  )
  group by sweep, rule
),
language as (
  select sweep, rule,
    avg(value) filter (where length_factor = 1) as bits_per_byte_1x,
    avg(value) filter (where length_factor = 4) as bits_per_byte_4x
  from score
  where task = 'text' and metric = 'bits_per_byte'
  group by sweep, rule
)
select
  entry.rule,
  cast(coalesce(on_text.parameters, on_mqar.parameters) as integer) as parameters,
  cast(coalesce(on_text.state_bytes, on_mqar.state_bytes) as integer) as state_bytes,
  cast(coalesce(on_text.train_tokens, on_mqar.train_tokens) as integer) as train_tokens,
  round(bits_per_byte_1x, 3) as bits_per_byte_1x,
  round(bits_per_byte_4x, 3) as bits_per_byte_4x,
  mqar_accuracy,
  cast(round(coalesce(on_text.tokens_per_second, on_mqar.tokens_per_second)) as integer) as tokens_per_second,
  entry.seeds,
  entry.sweep
from (select sweep, rule, count(distinct seed) as seeds from chosen group by sweep, rule) entry
left join size on_text on on_text.sweep = entry.sweep and on_text.rule = entry.rule and on_text.task = 'text'
left join size on_mqar on on_mqar.sweep = entry.sweep and on_mqar.rule = entry.rule and on_mqar.task = 'mqar'
left join language on language.sweep = entry.sweep and language.rule = entry.rule
left join recall on recall.sweep = entry.sweep and recall.rule = entry.rule
order by entry.sweep, bits_per_byte_1x nulls last, entry.rule;
