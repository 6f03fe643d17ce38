-- Version 2: what was asked and answered stands with an item's value. Null where it was not kept.
alter table evaluation_item add column prompt_digest text;  -- SHA-256
alter table evaluation_item add column answer text;         -- that was wanted
alter table evaluation_item add column prediction text;     -- that was given
