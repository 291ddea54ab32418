/* module/host.h: the server as modules see it. */
#pragma once

#include "casgi/app.h"

/* [any] The host with its interfaces "casgi.tasks/1", "casgi.log/1", "casgi.modules/1". Static. */
const casgi_host_t *host_interface(void);

/* [any] Fills a module's import slots from a host; slots of interfaces the host lacks become NULL. */
void host_fill_imports(const casgi_host_t *host, casgi_imports_t *imports);
