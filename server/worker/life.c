#include "worker/impl.h"

#include "base/log.h"
#include "config/config.h"
#include "module/lifespan.h"
#include "net/listen.h"
#include "runtime/task.h"
#include "runtime/threads.h"
#include "worker/handover.h"
#include "worker/orders.h"

#include <unistd.h>

enum {
    RECHECK = 5000,     /* microseconds */
    RETURNING = 500000, /* for who used up all of the clean-up time: its calls fail from there on, and it returns */
};

void worker_check(struct worker *worker)
{
    loop_late(worker->loop, &worker->check);
}

/* ---- deadlines ---- */

static void set_deadline(struct worker *worker, uint64_t microseconds)
{
    if (microseconds && timer_set(worker->loop, &worker->deadline, microseconds)) {
        worker_give_up(worker, WORKER_EXIT_UNCLEAN); /* out of memory: there would be no bound */
    }
}

static unsigned cancel_requests(struct worker *worker)
{
    unsigned count = 0;
    struct list *active = &worker->exchanges.active;
    for (struct list *node = active->next, *next; node != active; node = next) {
        next = node->next;
        exchange_cancel(LIST_ENTRY(node, struct exchange, node), CASGI_ECANCELED);
        count++;
    }
    return count;
}

static void cancel_all_requests(struct worker *worker)
{
    unsigned count = cancel_requests(worker);
    if (count) {
        log_print(CASGI_LOG_ERROR, "Cancel %u running task(s), timeout graceful shutdown exceeded", count);
    } else if (worker->connection_count) { /* only clients that have not taken or ended what is theirs are left */
        log_print(CASGI_LOG_INFO, "Close %zu connection(s), timeout graceful shutdown exceeded",
                  worker->connection_count);
    }
}

/* The first deadline: what runs is asked to stop. The second: the process ends. */
void worker_on_deadline(struct timer *timer)
{
    struct worker *worker = (struct worker *)(void *)((char *)timer - offsetof(struct worker, deadline));
    if (worker->cancelled) {
        worker_give_up(worker, WORKER_EXIT_UNCLEAN);
    }
    worker->cancelled = true;
    if (worker->phase == PHASE_CLOSING) {
        log_print(CASGI_LOG_ERROR, "The application's shutdown takes too long and is cancelled");
        worker->asked = (struct asked){ 0, 0 }; /* all are asked again */
        if (worker->lifespan) {
            lifespan_cancel(worker->lifespan);
        }
    } else {
        cancel_all_requests(worker);
    }
    uint64_t cleanup = worker->config->timeout_cleanup;
    set_deadline(worker, cleanup ? cleanup + RETURNING : 0);
    worker_check(worker);
}

static void name_task(struct task *task, void *arg)
{
    casgi_str_t what = task_describe(task);
    char text[256];
    (void)arg;
    log_escape(text, sizeof(text), what.ptr ? what : casgi_str(""));
    log_print(CASGI_LOG_ERROR, "Task %s still runs: %s", task_name(task) ? task_name(task) : "(unnamed)", text);
}

void worker_give_up(struct worker *worker, int exit_code)
{
    log_print(CASGI_LOG_ERROR, "%zu task(s) did not end in time; the process ends without them",
              task_count(worker->loop));
    if (thread_abandoned(worker->loop)) {
        log_print(CASGI_LOG_ERROR, "%zu job(s) on threads still run, and nobody waits for them",
                  thread_abandoned(worker->loop));
    }
    task_for_each(worker->loop, name_task, /* arg */ NULL);
    observers_end_timeline(worker->observers);
    listen_unlink(worker->options->sockets);
    log_finish();
    _exit(exit_code);
}

/* ---- draining ---- */

static void stop_accepting(struct worker *worker)
{
    for (size_t i = 0; i < worker->acceptor_count; i++) {
        acceptor_stop(worker->acceptors[i]);
    }
    if (worker->options->control < 0) {
        listen_unlink(worker->options->sockets);
    }
}

static void each_connection(struct worker *worker, void (*fn)(struct http1 *connection))
{
    for (struct list *node = worker->connections.next, *next; node != &worker->connections; node = next) {
        next = node->next;
        fn(http1_from_node(node));
    }
}

static void drain(struct worker *worker)
{
    int level = worker->handover ? CASGI_LOG_DEBUG : CASGI_LOG_INFO; /* a change of workers is no news */
    worker->phase = PHASE_DRAINING;
    log_gather(false);
    log_print(level, "Shutting down");
    stop_accepting(worker);
    set_deadline(worker, worker->config->timeout_graceful_shutdown);
    if (!handover_offer(worker->handover)) {
        each_connection(worker, http1_drain);
    }
    if (worker->connection_count && !worker->handover) {
        log_print(CASGI_LOG_INFO, "Waiting for connections to close. (CTRL+C to force quit)");
    }
    worker_check(worker);
}

void worker_stop(struct worker *worker)
{
    if (worker->phase == PHASE_SERVING) {
        drain(worker);
    } else if (worker->phase == PHASE_STARTING) {
        worker->phase = PHASE_CLOSING;
        if (!worker->exit_code) {
            log_print(CASGI_LOG_INFO, "Shutting down");
        }
        set_deadline(worker, worker->config->timeout_cleanup);
        worker_check(worker);
    }
}

/* ---- closing ---- */

/* Asks tasks to end: each once, since one that has taken its cancellation back is cleaning up. */
struct round {
    const struct asked *before;
    struct asked now;
    bool all; /* not only those in the background */
    unsigned background;
};

static void ask(struct task *task, void *arg)
{
    struct round *round = arg;
    bool background = task_is_background(task);
    uint64_t serial = task_serial(task), *newest = background ? &round->now.background : &round->now.other;
    round->background += background;
    if (!background && !round->all) {
        return;
    }
    if (serial > (background ? round->before->background : round->before->other)) {
        task_cancel(task, CASGI_ECANCELED);
    }
    *newest = serial > *newest ? serial : *newest;
}

/* Returns how many are in the background. */
static unsigned ask_tasks(struct worker *worker, bool all)
{
    struct round round = { .before = &worker->asked, .now = worker->asked, .all = all };
    task_for_each(worker->loop, ask, &round);
    worker->asked = round.now;
    return round.background;
}

static void check_soon(struct worker *worker)
{
    if (timer_set(worker->loop, &worker->recheck, RECHECK)) {
        worker_check(worker);
    }
}

void worker_on_recheck(struct timer *timer)
{
    worker_check((struct worker *)(void *)((char *)timer - offsetof(struct worker, recheck)));
}

static void begin_closing(struct worker *worker)
{
    worker->phase = PHASE_CLOSING;
    if (worker->cancelled) { /* the shutdown gets a time of its own */
        worker->cancelled = false;
        set_deadline(worker, worker->config->timeout_cleanup);
    }
}

/* Background tasks first, and jobs that were abandoned, then the lifespan, then what that left behind. */
static void close_application(struct worker *worker)
{
    unsigned background = ask_tasks(worker, false);
    if ((background || thread_abandoned(worker->loop)) && !worker->lifespan_over) {
        check_soon(worker);
    } else if (worker->lifespan && !worker->lifespan_stopping && !worker->lifespan_over) {
        worker->lifespan_stopping = true;
        if (worker->started && !worker_is_quiet(worker)) {
            log_print(CASGI_LOG_INFO, "Waiting for application shutdown.");
        }
        lifespan_stop(worker->lifespan);
    } else if (worker->lifespan && !worker->lifespan_over) {
        return; /* on_stopped comes back here */
    } else if (task_count(worker->loop) || thread_abandoned(worker->loop)) {
        (void)ask_tasks(worker, true);
        check_soon(worker);
    } else {
        worker->phase = PHASE_ENDED;
        loop_stop(worker->loop);
    }
}

static bool has_connections(struct worker *worker)
{
    if (worker->cancelled && !worker->exchanges.running) { /* only clients that do not read are left */
        each_connection(worker, http1_close);
    }
    return worker->connection_count || worker->exchanges.running ||
           (handover_open(worker->handover) && orders_adopting(worker->orders));
}

void worker_on_check(struct loop_late *late)
{
    struct worker *worker = (struct worker *)(void *)((char *)late - offsetof(struct worker, check));
    if (worker->phase == PHASE_DRAINING && !has_connections(worker)) {
        begin_closing(worker);
    }
    if (worker->phase == PHASE_CLOSING) {
        close_application(worker);
    }
}
