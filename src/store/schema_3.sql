-- Version 3: evaluations that are asked item by item. What is answered waits here until the last item is, so that an
-- interrupted evaluation goes on where it was; then it becomes rows of evaluation and evaluation_item.
create table asking (
  id integer primary key,
  run_id integer references run (id) on delete cascade,
  step integer check (step >= 0),
  model_digest text,                  -- SHA-256 of the weights
  task text not null,
  settings_json text not null check (json_valid(settings_json)),  -- all that fixes items and answers
  evaluations_json text check (evaluations_json is null or json_valid(evaluations_json)),  -- ids of the scores; null: under way
  check ((run_id is null) = (step is null)),
  check (run_id is not null or model_digest is not null)
) strict;

-- index: one asking of one question to a run's model; it is looked up before an item is asked
create unique index asking_of_run on asking (run_id, step, task, settings_json) where run_id is not null;

-- index: the same for models without a run
create unique index asking_of_model on asking (model_digest, task, settings_json) where run_id is null;

create table asking_item (
  asking_id integer not null references asking (id) on delete cascade,
  item integer not null,
  marked_json text not null check (json_valid(marked_json)),
  -- index: the table itself; an asking's items are one range, and none is there twice
  primary key (asking_id, item)
) strict, without rowid;
