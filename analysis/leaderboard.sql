-- Which rule is best, on text and on recall: one row a rule, sweep, choice of options and text that was read.
--
-- Of each sweep, rule, choice of options, task and seed the newest run that is done counts; values are means
-- over those seeds. A rule's run on task `text` and its run on task `mqar` share a row where their options
-- agree. Scores are those at the last step of a run; of several in one text or of one size (other dtypes, fewer
-- tokens) that of the most items, then the first.
--
--   rule
--   options            that the sweep varies for this rule and task, beside the seed, each path=value
--   parameters         learned numbers; like the next two, of the text run, else of the mqar run
--   state_bytes        to continue decoding one sequence of the training length
--   train_tokens       steps times tokens a step
--   data               the name of the text's file, where a sweep was asked on several
--   bits_per_byte_1x   text, at the training length: metric bits_per_byte of task text, length_factor 1
--   bits_per_byte_4x   text, at four times the training length: settings.length_factor 4
--   mqar_accuracy      recall by settings.pairs, each with the accuracy of guessing (settings.chance):
--                      `4: 0.981 (chance 0.016)`; `4 in 128: …` where they stood in several lengths
--   tokens_per_second  in training on text, else on mqar: the median of metric train/tokens_per_second over
--                      the newest 31 values of a run
--   mfu                likewise of train/mfu, the share of the GPU's dense bf16 rate; empty where that is unknown
--   peak_memory_mib    likewise the most of train/peak_memory_mib, what tensors held on the GPU
--   seeds
--   sweep              the `name:` of the YAML file
with
choice as (
  select run_id, sweep, group_concat(path || '=' || value, ', ') as options
  from (select * from varied_setting order by run_id, sweep, place)
  group by run_id, sweep
),
ranked as (
  select run.*, sweep.name as sweep, coalesce(options, '') as options,
    row_number() over (
      partition by sweep.name, rule, coalesce(options, ''), task, seed
      order by ended_at desc, run.id desc) as newest
  from run
  join sweep on sweep.run_id = run.id
  left join choice on choice.run_id = run.id and choice.sweep = sweep.name
  where state = 'done' and task in ('text', 'mqar')
),
chosen as (select * from ranked where newest = 1),
asked as (
  select chosen.sweep, chosen.rule, chosen.options, chosen.task, chosen.id as run_id,
    config_json ->> '$.data.path' as path,
    evaluation.metric, evaluation.value, evaluation.length, n, evaluation.id as evaluation_id,
    settings_json ->> 'length_factor' as length_factor, settings_json ->> 'pairs' as pairs,
    settings_json ->> 'chance' as chance, settings_json ->> 'data_file' as data_file,
    coalesce(settings_json ->> 'data_digest', '') as digest
  from chosen join evaluation
    on evaluation.run_id = chosen.id and evaluation.step = chosen.step and evaluation.task = chosen.task
  where chosen.task = 'text' and metric = 'bits_per_byte' and length_factor in (1, 4)
    or chosen.task = 'mqar' and metric = 'accuracy' and pairs is not null
),
score as (
  select * from (
    select asked.*, row_number() over (
        partition by sweep, run_id, length_factor, pairs, length, digest
        order by n desc, evaluation_id) as place
    from asked)
  where place = 1
),
-- A path's end is what follows the letters up to its last slash.
file as (
  select sweep, digest,
    max(coalesce(data_file, replace(path, rtrim(path, replace(path, '/', '')), ''), substr(digest, 1, 8))) as name
  from score
  where task = 'text'
  group by sweep, digest
),
told_file as (
  select sweep, digest,
    iif(count(*) over (partition by sweep) = 1, null,
        name || iif(count(*) over (partition by sweep, name) = 1, '', ' (' || substr(digest, 1, 8) || ')')) as data
  from file
),
size as (
  select sweep, rule, options, task, avg(parameters) as parameters, avg(state_bytes) as state_bytes,
    avg(steps * tokens_per_step) as train_tokens, avg(tokens_per_second) as tokens_per_second,
    avg(mfu) as mfu, max(peak_memory_mib) as peak_memory_mib
  from chosen left join run_speed speed on speed.run_id = chosen.id
  group by sweep, rule, options, task
),
recall as (
  select sweep, rule, options, group_concat(cell, ', ') as mqar_accuracy
  from (
    select sweep, rule, options,
      pairs || iif(count(*) over (partition by sweep, rule, options, pairs) = 1, '', ' in ' || length)
        || format(': %.3f', avg(value)) || iif(avg(chance) is null, '', format(' (chance %.3f)', avg(chance))) as cell
    from score
    where task = 'mqar'
    group by sweep, rule, options, pairs, length
    order by sweep, rule, options, pairs, length
  )
  group by sweep, rule, options
),
language as (
  select sweep, rule, options, data,
    avg(value) filter (where length_factor = 1) as bits_per_byte_1x,
    avg(value) filter (where length_factor = 4) as bits_per_byte_4x
  from score join told_file using (sweep, digest)
  where task = 'text'
  group by sweep, rule, options, digest
)
select
  entry.rule,
  entry.options,
  cast(coalesce(on_text.parameters, on_mqar.parameters) as integer) as parameters,
  cast(coalesce(on_text.state_bytes, on_mqar.state_bytes) as integer) as state_bytes,
  cast(coalesce(on_text.train_tokens, on_mqar.train_tokens) as integer) as train_tokens,
  data,
  round(bits_per_byte_1x, 3) as bits_per_byte_1x,
  round(bits_per_byte_4x, 3) as bits_per_byte_4x,
  mqar_accuracy,
  cast(round(coalesce(on_text.tokens_per_second, on_mqar.tokens_per_second)) as integer) as tokens_per_second,
  round(coalesce(on_text.mfu, on_mqar.mfu), 3) as mfu,
  cast(round(coalesce(on_text.peak_memory_mib, on_mqar.peak_memory_mib)) as integer) as peak_memory_mib,
  entry.seeds,
  entry.sweep
from (
  select sweep, rule, options, count(distinct seed) as seeds from chosen group by sweep, rule, options
) entry
left join (select * from size where task = 'text') on_text using (sweep, rule, options)
left join (select * from size where task = 'mqar') on_mqar using (sweep, rule, options)
left join language using (sweep, rule, options)
left join recall using (sweep, rule, options)
order by entry.sweep, data, bits_per_byte_1x nulls last, entry.rule, entry.options;
