#include "support.h"

#include "runtime/fdwatch.h"
#include "runtime/file.h"
#include "runtime/process.h"
#include "runtime/socket.h"
#include "runtime/threads.h"

int setup_world(void **state)
{
    casgi_imports_.threads = &threads_interface;
    casgi_imports_.fd = &fd_interface;
    casgi_imports_.files = &files_interface;
    casgi_imports_.net = &net_interface;
    casgi_imports_.process = &process_interface;
    return setup_real_loop(state);
}

int teardown_world(void **state)
{
    return teardown_real_loop(state);
}
