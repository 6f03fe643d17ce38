-- The database of mdnlab, version 1. Later versions are steps of their own in schema.cc; this file never
-- changes again once a release has written it.
--
-- Times are UTC, ISO 8601 with milliseconds: 2026-01-31T23:59:59.123Z. Units stand in the names.
-- A real that may be null means: null = not finite (SQLite keeps no nan, JSON neither nan nor infinity).

-- Where something ran. Facts of the host, nothing personal; '' or 0 where there is none.
create table machine (
  id integer primary key,
  host text not null,
  system text not null,               -- distribution and kernel
  cpu text not null,
  cpu_cores integer not null,         -- that the program may use
  memory_mib integer not null,
  gpu text not null,
  gpu_count integer not null,
  gpu_memory_mib integer not null,    -- of one
  driver text not null,
  -- index: each process looks up its own machine; the same facts are one row, here and after a merge
  unique (host, system, cpu, cpu_cores, memory_mib, gpu, gpu_count, gpu_memory_mib, driver)
) strict;

-- What ran.
create table build (
  id integer primary key,
  version text not null,
  git_commit text not null,           -- '' outside a checkout, ending in -dirty with local changes
  libtorch text not null,
  compiler text not null,
  -- index: as for machine
  unique (version, git_commit, libtorch, compiler)
) strict;

-- One training of one model. Append-only: a run is never edited into another, its key says what it is.
create table run (
  id integer primary key,
  -- index: a run is looked up by its key; two rows of one key would be the same work twice
  key text not null unique check (key <> ''),
  name text not null,                 -- for people: what tells it from its siblings
  rule text not null,
  task text not null,                 -- that it is trained on: text, mqar, …
  seed integer not null,
  state text not null default 'planned'
    check (state in ('planned', 'running', 'interrupted', 'done', 'failed', 'diverged')),
  step integer not null default 0 check (step between 0 and steps),
  steps integer not null,
  error text,                         -- why it failed or diverged
  device_kind text not null,          -- cpu, cuda
  parameters integer not null,        -- learned numbers
  state_bytes integer not null,       -- to continue decoding one sequence of train.seq_len tokens
  tokens_per_step integer not null,
  config_json text not null check (json_valid(config_json)),  -- resolved; for json_extract
  config_yaml text not null,          -- the same, verbatim as `plan` prints it
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  started_at text,                    -- of the first attempt
  attempt_at text,                    -- of the newest attempt, which began at attempt_step
  attempt_step integer,
  updated_at text,                    -- the newest sign of life
  ended_at text,
  worker_host text,                   -- the process that runs it, only while it runs
  worker_pid integer,
  worker_start integer,               -- clock ticks since boot: tells a later process of the same pid
  machine_id integer references machine (id),
  build_id integer references build (id),
  check ((error is not null) = (state in ('failed', 'diverged'))),
  check ((worker_pid is not null) = (state = 'running'))
) strict;

-- Which sweeps (the `name:` of a YAML file) planned a run. The same run in two files is trained once.
create table sweep (
  run_id integer not null references run (id) on delete cascade,
  name text not null,
  -- index: the run's sweeps, read by every join from run
  primary key (run_id, name)
) strict, without rowid;

-- Long form: a new metric needs no new column.
create table metric (
  run_id integer not null references run (id) on delete cascade,
  step integer not null check (step >= 0),
  name text not null,                 -- train/loss, valid/bits_per_byte, …
  value real,
  -- index: the table itself, in the order it is read: one curve of one run is one range
  primary key (run_id, name, step)
) strict, without rowid;

-- One score of one model: of a run's model at a step, or of a model from elsewhere, known by its digest.
create table evaluation (
  id integer primary key,
  run_id integer references run (id) on delete cascade,
  step integer check (step >= 0),
  model_digest text,                  -- SHA-256 of the weights
  task text not null,
  metric text not null,
  length integer,                     -- tokens of context
  depth real,                         -- of the wanted item: 0 oldest, 1 newest
  n integer not null,                 -- items or tokens that value is a mean over
  value real,
  stderr real,                        -- standard error of value
  settings_json text not null check (json_valid(settings_json)),  -- sorted keys, no spaces
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  machine_id integer references machine (id),
  build_id integer references build (id),
  check ((run_id is null) = (step is null)),
  check (run_id is not null or model_digest is not null)
) strict;

-- index: one score a question; a second answer replaces the first. It also finds a run's scores past a step.
create unique index evaluation_of_run
  on evaluation (run_id, step, task, metric, coalesce(length, -1), coalesce(depth, -1), settings_json)
  where run_id is not null;

-- index: the same for models without a run, so that a merge adds nothing twice
create unique index evaluation_of_model
  on evaluation (model_digest, task, metric, coalesce(length, -1), coalesce(depth, -1), settings_json)
  where run_id is null;

-- The items behind a score, for paired intervals; the same item number is the same item for every model.
create table evaluation_item (
  evaluation_id integer not null references evaluation (id) on delete cascade,
  item integer not null,
  value real,
  -- index: the table itself; an evaluation's items are one range
  primary key (evaluation_id, item)
) strict, without rowid;

-- One timing of one rule at one shape.
create table bench (
  id integer primary key,
  rule text not null,
  device text not null,
  dtype text not null,
  batch integer not null,
  tokens integer not null,
  heads integer not null,
  key_width integer not null,
  value_width integer not null,
  direction text not null,            -- fwd, fwd+bwd, step, training step
  median_ms real not null,
  spread_ms real not null,            -- between the quartiles
  peak_mib real not null,
  tokens_per_second real not null,
  machine_id integer not null references machine (id),
  build_id integer not null references build (id),
  settings_json text not null check (json_valid(settings_json)),
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) strict;

-- index: benches are kept as a history, and a merge adds each once
create unique index bench_once
  on bench (rule, device, dtype, direction, batch, tokens, heads, key_width, value_width, machine_id,
            build_id, created_at, settings_json);
