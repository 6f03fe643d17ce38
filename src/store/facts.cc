#include "store/facts.h"

namespace mdnlab {

// The update changes nothing; it makes `returning` name the row that was there.

std::int64_t ensure_machine(Store& store, const MachineFacts& machine) {
  Transaction transaction(store.sql());
  const std::int64_t id = store.sql().integer(
      "insert into machine (host, system, cpu, cpu_cores, memory_mib, gpu, gpu_count, gpu_memory_mib, driver)"
      " values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do update set host = host returning id",
      machine.host, machine.system, machine.cpu, machine.cpu_cores, machine.memory_mib, machine.gpu,
      machine.gpu_count, machine.gpu_memory_mib, machine.driver);
  transaction.commit();
  return id;
}

std::int64_t ensure_build(Store& store, const BuildFacts& build) {
  Transaction transaction(store.sql());
  const std::int64_t id = store.sql().integer(
      "insert into build (version, git_commit, libtorch, compiler) values (?, ?, ?, ?)"
      " on conflict do update set version = version returning id",
      build.version, build.git_commit, build.libtorch, build.compiler);
  transaction.commit();
  return id;
}

}  // namespace mdnlab
