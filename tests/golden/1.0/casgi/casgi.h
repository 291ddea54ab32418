/* casgi/casgi.h: everything an application needs.
 *
 *     #include <casgi/casgi.h>
 *
 *     static int hello(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
 *     {
 *         return casgi_respond(send, 200, "text/plain", "Hello, World!\n");
 *     }
 *     CASGI_APP(hello)
 *
 * For handlers without coroutines see casgi/callback.h. */
#pragma once

#include "app.h"
#include "fd.h"
#include "files.h"
#include "group.h"
#include "net.h"
#include "process.h"
#include "sync.h"
#include "threads.h"
