-- How long each rule's kernel takes: the newest timing of each shape, direction, machine and dtype.
--
--   rule
--   device             cpu, cuda
--   dtype
--   batch              sequences
--   tokens             of each
--   heads
--   key_width
--   value_width
--   direction          fwd, fwd+bwd, step, training step
--   median_ms
--   spread_ms          between the quartiles
--   peak_mib
--   tokens_per_second
--   gpu                of the machine
--   cpu                of the machine
--   created_at         UTC
select rule, device, dtype, batch, tokens, heads, key_width, value_width, direction, median_ms, spread_ms, peak_mib,
  tokens_per_second, gpu, cpu, created_at
from (
  select bench.*, gpu, cpu, row_number() over (
      partition by rule, device, dtype, batch, tokens, heads, key_width, value_width, direction, machine_id,
        settings_json
      order by created_at desc, bench.id desc) as newest
  from bench join machine on machine.id = machine_id
)
where newest = 1
order by device desc, gpu, direction, tokens, rule, heads, key_width, value_width, dtype, median_ms;
