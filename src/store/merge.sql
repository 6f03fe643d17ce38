-- Copies the attached database `source` into main, inside one transaction of merge.cc. The temporary tables
-- map the source's ids to ours.

insert or ignore into main.machine
    (host, system, cpu, cpu_cores, memory_mib, gpu, gpu_count, gpu_memory_mib, driver)
  select host, system, cpu, cpu_cores, memory_mib, gpu, gpu_count, gpu_memory_mib, driver from source.machine;

create temp table machine_map as
  select theirs.id as source_id, ours.id as id
  from source.machine theirs
  join main.machine ours
    using (host, system, cpu, cpu_cores, memory_mib, gpu, gpu_count, gpu_memory_mib, driver);

insert or ignore into main.build (version, git_commit, libtorch, compiler)
  select version, git_commit, libtorch, compiler from source.build;

create temp table build_map as
  select theirs.id as source_id, ours.id as id
  from source.build theirs
  join main.build ours using (version, git_commit, libtorch, compiler);

-- Which of the two rows of one key wins, decided before any of them changes.
create temp table run_choice as
  select theirs.id as source_id, theirs.key as key, ours.id is null as added,
    ours.id is not null and ours.state not in ('running', 'done')
      and (theirs.state = 'done' or theirs.step > ours.step) as replaced,
    coalesce(ours.state = 'done' and theirs.state = 'done', 0) as both_done
  from source.run theirs left join main.run ours on ours.key = theirs.key;

insert into main.run (key, name, rule, task, seed, state, step, steps, error, device_kind, parameters,
    state_bytes, tokens_per_step, config_json, config_yaml, created_at, started_at, attempt_at, attempt_step,
    updated_at, ended_at, machine_id, build_id)
  select key, name, rule, task, seed, iif(state = 'running', 'interrupted', state), step, steps, error,
    device_kind, parameters, state_bytes, tokens_per_step, config_json, config_yaml, created_at, started_at,
    attempt_at, attempt_step, updated_at, iif(state = 'running', updated_at, ended_at), machine_map.id,
    build_map.id
  from source.run theirs
  join run_choice using (key)
  left join machine_map on machine_map.source_id = theirs.machine_id
  left join build_map on build_map.source_id = theirs.build_id
  where added or replaced
  order by theirs.id
  on conflict (key) do update set
    state = excluded.state, step = excluded.step, error = excluded.error, started_at = excluded.started_at,
    attempt_at = excluded.attempt_at, attempt_step = excluded.attempt_step, updated_at = excluded.updated_at,
    ended_at = excluded.ended_at, machine_id = excluded.machine_id, build_id = excluded.build_id;

create temp table run_map as
  select source_id, ours.id as id, added or replaced as taken, replaced, both_done
  from run_choice join main.run ours using (key);

insert or ignore into main.sweep (run_id, name)
  select run_map.id, name from source.sweep join run_map on run_map.source_id = sweep.run_id;

delete from main.metric where run_id in (select id from run_map where replaced);

insert into main.metric (run_id, step, name, value)
  select run_map.id, step, name, value
  from run_map join source.metric on metric.run_id = run_map.source_id
  where taken;

delete from main.evaluation where run_id in (select id from run_map where replaced);

-- Evaluations under way stay where they are: only their scores are results.
delete from main.asking where run_id in (select id from run_map where replaced);

create temp table evaluation_map as
  select theirs.id as source_id, run_map.id as run_id,
    (select coalesce(max(id), 0) from main.evaluation) + row_number() over (order by theirs.id) as id
  from source.evaluation theirs left join run_map on run_map.source_id = theirs.run_id
  where case when theirs.run_id is not null
    then taken or (both_done and not exists (
      select * from main.evaluation ours
      where ours.run_id = run_map.id and ours.step = theirs.step and ours.task = theirs.task
        and ours.metric = theirs.metric and coalesce(ours.length, -1) = coalesce(theirs.length, -1)
        and coalesce(ours.depth, -1) = coalesce(theirs.depth, -1)
        and ours.settings_json = theirs.settings_json))
    else not exists (
      select * from main.evaluation ours
      where ours.run_id is null and ours.model_digest = theirs.model_digest and ours.task = theirs.task
        and ours.metric = theirs.metric and coalesce(ours.length, -1) = coalesce(theirs.length, -1)
        and coalesce(ours.depth, -1) = coalesce(theirs.depth, -1)
        and ours.settings_json = theirs.settings_json)
    end;

insert into main.evaluation (id, run_id, step, model_digest, task, metric, length, depth, n, value, stderr, low,
    high, settings_json, created_at, machine_id, build_id)
  select evaluation_map.id, evaluation_map.run_id, step, model_digest, task, metric, length, depth, n, value,
    stderr, low, high, settings_json, created_at, machine_map.id, build_map.id
  from source.evaluation theirs
  join evaluation_map on evaluation_map.source_id = theirs.id
  left join machine_map on machine_map.source_id = theirs.machine_id
  left join build_map on build_map.source_id = theirs.build_id;

insert into main.evaluation_item (evaluation_id, item, value, prompt_digest, answer, prediction, log_probabilities_json)
  select evaluation_map.id, item, value, prompt_digest, answer, prediction, log_probabilities_json
  from evaluation_map join source.evaluation_item theirs on theirs.evaluation_id = evaluation_map.source_id;

create temp table bench_before as select count(*) as n from main.bench;

insert or ignore into main.bench (rule, device, dtype, batch, tokens, heads, key_width, value_width,
    direction, median_ms, spread_ms, peak_mib, tokens_per_second, machine_id, build_id, settings_json,
    created_at)
  select rule, device, dtype, batch, tokens, heads, key_width, value_width, direction, median_ms, spread_ms,
    peak_mib, tokens_per_second, machine_map.id, build_map.id, settings_json, created_at
  from source.bench theirs
  join machine_map on machine_map.source_id = theirs.machine_id
  join build_map on build_map.source_id = theirs.build_id;
