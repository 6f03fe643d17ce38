-- Version 6: the 95 % interval of a score over its items. Null where there is none, and in rows of older versions.
alter table evaluation add column low real;
alter table evaluation add column high real;
