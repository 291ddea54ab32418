/* Names are numbers that are never used twice, so a statement that was forgotten here and could not be deallocated
 * there (its transaction had failed) is only a little memory of the session's, never a wrong statement. */
#include "pg/impl.h"

#include <stdio.h>

void kit_pg_statement_name(uint64_t number, char name[KIT_PG_NAME_SIZE])
{
    (void)snprintf(name, KIT_PG_NAME_SIZE, "casgi%llu", (unsigned long long)number);
}

int kit_pg_plan_make(struct casgi_pg_conn *conn, const char *sql, struct kit_pg_plan *out_plan)
{
    struct kit_pg_plan plan = { 0 };
    struct kit_cache_entry *entry = kit_cache_find(&conn->statements, sql);
    if (entry) {
        plan.statement = entry->value.number;
        *out_plan = plan;
        return 0;
    }
    struct kit_cache_entry *surplus = kit_cache_surplus(&conn->statements);
    if (surplus) {
        plan.evicted = surplus->value.number;
        kit_cache_remove(&conn->statements, surplus);
    }
    plan.statement = ++conn->last_statement;
    plan.prepare = true;
    *out_plan = plan;
    return kit_cache_add(&conn->statements, sql, (union kit_cached){ .number = plan.statement }) ? 0 : CASGI_ENOMEM;
}

void kit_pg_plan_forget(struct casgi_pg_conn *conn, const char *sql, const struct kit_pg_plan *plan)
{
    struct kit_cache_entry *entry = plan->statement ? kit_cache_find(&conn->statements, sql) : NULL;
    if (entry && entry->value.number == plan->statement) {
        kit_cache_remove(&conn->statements, entry);
    }
}
