#include "runtime/sync.h"

#include "runtime/turn.h"

/* What casgi_lock_t, casgi_semaphore_t and casgi_flag_t hold. */
struct sync {
    uintptr_t state; /* lock: the holder's serial; semaphore: how many are left; flag: whether it is set */
    struct list line;
};

_Static_assert(sizeof(struct sync) <= sizeof(casgi_lock_t), "it fits into its place");
_Static_assert(sizeof(casgi_semaphore_t) == sizeof(casgi_lock_t), "all are the same");
_Static_assert(sizeof(casgi_flag_t) == sizeof(casgi_lock_t), "all are the same");

int turn_wait(struct list *line, struct turn *turn, struct task *self, enum task_wait why)
{
    int rc = 0;
    turn->task = self;
    turn->served = false;
    if (!line->next) {
        list_init(line);
    }
    list_append(line, &turn->node);
    while (!turn->served && !rc) {
        rc = task_park(why);
    }
    if (turn->served) {
        return turn->code; /* also if a cancellation came as well: what was given must not be lost */
    }
    list_remove(&turn->node);
    return rc;
}

struct turn *turn_serve(struct list *line, int code)
{
    if (line_empty(line)) {
        return NULL;
    }
    struct turn *turn = LIST_ENTRY(list_pop(line), struct turn, node);
    turn->code = code;
    turn->served = true;
    task_wake(turn->task);
    return turn;
}

static int wait_in_line(struct sync *sync, struct task *self)
{
    struct turn turn;
    return turn_wait(&sync->line, &turn, self, TASK_WAIT_LOCK);
}

/* ---- lock ---- */

static struct sync *sync_of_lock(casgi_lock_t *lock)
{
    return (struct sync *)(void *)lock;
}

static int lock_acquire(casgi_lock_t *place)
{
    struct sync *lock = sync_of_lock(place);
    struct task *self = task_running();
    if (!self) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = task_enter(self);
    if (rc) {
        return rc;
    }
    if (lock->state == self->serial) {
        return CASGI_EINVAL;
    }
    if (!lock->state) {
        lock->state = self->serial;
    } else {
        rc = wait_in_line(lock, self); /* who releases it makes it ours */
    }
    self->locks += !rc;
    return rc;
}

static int lock_try(casgi_lock_t *place)
{
    struct sync *lock = sync_of_lock(place);
    struct task *self = task_running();
    if (!self) {
        return CASGI_EWRONGTHREAD;
    }
    if (lock->state) {
        return CASGI_EAGAIN;
    }
    lock->state = self->serial;
    self->locks++;
    return 0;
}

static int lock_release(casgi_lock_t *place)
{
    struct sync *lock = sync_of_lock(place);
    struct task *self = task_running();
    if (!self) {
        return CASGI_EWRONGTHREAD;
    }
    if (lock->state != self->serial) {
        return CASGI_EINVAL;
    }
    const struct turn *next = turn_serve(&lock->line, 0);
    lock->state = next ? next->task->serial : 0;
    self->locks--;
    return 0;
}

/* ---- semaphore ---- */

static struct sync *sync_of_semaphore(casgi_semaphore_t *semaphore)
{
    return (struct sync *)(void *)semaphore;
}

static int semaphore_acquire(casgi_semaphore_t *place)
{
    struct sync *semaphore = sync_of_semaphore(place);
    struct task *self = task_running();
    if (!self) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = task_enter(self);
    if (rc) {
        return rc;
    }
    if (semaphore->state) {
        semaphore->state--;
        return 0;
    }
    return wait_in_line(semaphore, self);
}

static int semaphore_try(casgi_semaphore_t *place)
{
    struct sync *semaphore = sync_of_semaphore(place);
    if (!loop_of_thread) {
        return CASGI_EWRONGTHREAD;
    }
    if (!semaphore->state) {
        return CASGI_EAGAIN;
    }
    semaphore->state--;
    return 0;
}

static int semaphore_release(casgi_semaphore_t *place)
{
    struct sync *semaphore = sync_of_semaphore(place);
    if (!loop_of_thread) {
        return CASGI_EWRONGTHREAD;
    }
    if (!turn_serve(&semaphore->line, 0)) {
        semaphore->state++;
    }
    return 0;
}

/* ---- flag ---- */

static struct sync *sync_of_flag(casgi_flag_t *flag)
{
    return (struct sync *)(void *)flag;
}

static int flag_wait(casgi_flag_t *place)
{
    struct sync *flag = sync_of_flag(place);
    struct task *self = task_running();
    if (!self) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = task_enter(self);
    if (rc || flag->state) {
        return rc;
    }
    return wait_in_line(flag, self);
}

static int flag_set(casgi_flag_t *place)
{
    struct sync *flag = sync_of_flag(place);
    if (!loop_of_thread) {
        return CASGI_EWRONGTHREAD;
    }
    flag->state = 1;
    while (turn_serve(&flag->line, 0)) {
    }
    return 0;
}

static int flag_clear(casgi_flag_t *place)
{
    if (!loop_of_thread) {
        return CASGI_EWRONGTHREAD;
    }
    sync_of_flag(place)->state = 0;
    return 0;
}

const casgi_sync_1_t sync_interface = {
    .lock_acquire = lock_acquire,
    .lock_try = lock_try,
    .lock_release = lock_release,
    .semaphore_acquire = semaphore_acquire,
    .semaphore_try = semaphore_try,
    .semaphore_release = semaphore_release,
    .flag_wait = flag_wait,
    .flag_set = flag_set,
    .flag_clear = flag_clear,
    .queue_init = queue_init,
    .queue_put = queue_put,
    .queue_try_put = queue_try_put,
    .queue_get = queue_get,
    .queue_try_get = queue_try_get,
    .queue_close = queue_close,
};
