#include "support.h"

#include "runtime/fdwatch.h"
#include "runtime/socket.h"
#include "runtime/sync.h"
#include "runtime/threads.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int setup_kit(void **state)
{
    casgi_imports_.threads = &threads_interface;
    casgi_imports_.fd = &fd_interface;
    casgi_imports_.net = &net_interface;
    casgi_imports_.sync = &sync_interface;
    return setup_real_loop(state);
}

int teardown_kit(void **state)
{
    return teardown_real_loop(state);
}

casgi_task_t *start(casgi_task_fn_t fn, void *arg)
{
    casgi_task_t *task = NULL;
    return casgi_create_task(fn, arg, "job", &task) ? NULL : task;
}

/* ---- a folder ---- */

static char folder[64];

const char *make_folder(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/casgi-kit-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

void forget_folder(void)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char path[sizeof(folder) + sizeof(entry->d_name)];
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        (void)unlink(path);
    }
    if (dir) {
        closedir(dir);
    }
    (void)rmdir(folder);
}
