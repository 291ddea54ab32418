/* runtime/socket_tls.h: TLS on client streams. */
#pragma once

#include "casgi/net.h"

struct casgi_stream;

/* [task] casgi_stream_start_tls. */
int socket_start_tls(struct casgi_stream *stream, const casgi_tls_options_t *options, casgi_error_t *out_error);
