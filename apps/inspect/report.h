/* What the probe tells of a request: its scope, the events it received, what its sends returned; as JSON. */
#pragma once

#include "text.h"

struct report {
    struct text received; /* elements of a JSON array */
    struct text sent;
    size_t received_count;
    size_t sent_count;
    uint64_t body_bytes; /* of all http.request events */
    uint64_t body_kept;  /* of these, shown */
};

void report_release(struct report *report);

void report_received(struct report *report, int rc, const casgi_event_t *event);
void report_sent(struct report *report, int rc, const casgi_event_t *event);

/* "OK", "EDISCONNECTED". */
const char *report_code_name(int code);

/* {"scope":{...}} of it, as one object. */
void report_scope(struct text *out, const casgi_scope_t *scope);

/* "received":[...],"sent":[...],"body_bytes":n */
void report_events(struct text *out, const struct report *report);
