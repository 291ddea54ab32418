/* supervisor/cache.h: where builds are kept: $XDG_CACHE_HOME/casgi, ~/.cache/casgi, else a folder of this user in /tmp.
 * What lies there is loaded into the server, so the folder must be this user's alone. */
#pragma once

#include "casgi/base.h"

/* Makes the folder if need be; *out_path is yours, free it. */
int cache_open(char **out_path, casgi_error_t *error);

/* Keeps the newest `keep` results (*.so) and as many lists (*.deps); those in use stay. */
void cache_prune(const char *path, size_t keep);
