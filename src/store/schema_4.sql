-- Version 4: of items judged by likelihood, ln p of each choice, or of the one text asked for: a JSON list, null for −∞.
alter table evaluation_item add column log_probabilities_json text
  check (log_probabilities_json is null or json_valid(log_probabilities_json));
