// What a user's SQL may do: read.
#pragma once

struct sqlite3;

namespace mdnlab {

// From here on `database` compiles nothing but reading statements, and trusts nothing that its file says.
// `denied` becomes true when a statement asked for more; it must outlive the database.
void allow_reading_only(sqlite3* database, bool& denied);

}  // namespace mdnlab
