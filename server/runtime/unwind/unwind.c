/* The part "unwind": see runtime/unwind_part.h. The thread is seized and interrupted (not attached, which would send it
 * a SIGSTOP), the other threads go on. */
#include "runtime/unwind_part.h"

#include "runtime/unwind/signal_frame.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE = 1000, PAUSE = 10 }; /* ms */
enum { FRAMES_MOST = 2000 };

/* A frame as it was found. */
struct place {
    Dwarf_Addr address;
    bool is_here; /* and no return address, which may already belong to the next line */
};

struct walk {
    Dwfl *dwfl;
    pid_t thread;
    const struct unwind_listener *listener;
    unsigned count;
    struct place places[FRAMES_MOST];
    bool cut; /* at a signal's frame, behind which libdw would not find on */
    struct signal_frame signal_frame;
};

/* ---- the thread ---- */

static void pause_shortly(void)
{
    const struct timespec time = { .tv_nsec = PAUSE * 1000000L };
    (void)nanosleep(&time, NULL /* what is left */);
}

/* Where Yama watches, a process must first have said who may look at it: it may be about to say so. */
static int seize(pid_t thread, casgi_error_t *out_error)
{
    long rc = -1;
    for (int waited = 0; waited <= PATIENCE; waited += PAUSE) {
        rc = ptrace(PTRACE_SEIZE, thread, NULL, NULL);
        if (!rc || errno != EPERM) {
            break;
        }
        pause_shortly();
    }
    return rc ? casgi_error_set(out_error, CASGI_ESYSTEM(errno), "thread %d cannot be looked at: %s", (int)thread,
                                strerror(errno))
              : 0;
}

/* A thread that the kernel does not interrupt (a disk that does not answer) is given up. */
static int interrupt(pid_t thread, casgi_error_t *out_error)
{
    int status = 0;
    if (ptrace(PTRACE_INTERRUPT, thread, NULL, NULL)) {
        return casgi_error_set(out_error, CASGI_ESYSTEM(errno), "thread %d cannot be stopped: %s", (int)thread,
                               strerror(errno));
    }
    for (int waited = 0; waited <= PATIENCE; waited += PAUSE) {
        pid_t found = waitpid(thread, &status, __WALL | WNOHANG);
        if (found == thread) {
            return WIFSTOPPED(status) ? 0
                                      : casgi_error_set(out_error, CASGI_ENOENT, "thread %d has ended", (int)thread);
        }
        pause_shortly();
    }
    return casgi_error_set(out_error, CASGI_ETIMEDOUT, "thread %d does not stop", (int)thread);
}

/* If it stopped for a signal that was on its way, it gets it. */
static void let_go(pid_t thread)
{
    siginfo_t info;
    long number = 0;
    if (ptrace(PTRACE_GETSIGINFO, thread, NULL, &info) == 0 && info.si_code >> 8 == 0) {
        number = info.si_signo;
    }
    (void)ptrace(PTRACE_DETACH, thread, NULL, (void *)number);
}

/* ---- frames ---- */

static const char *name_of(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    return dwarf_formstring(dwarf_attr_integrate(die, DW_AT_name, &attribute));
}

/* The place in the caller where the inlined function stands. */
static void go_to_caller(Dwarf_Die *unit, Dwarf_Die *inlined, struct unwind_frame *frame)
{
    Dwarf_Attribute attribute;
    Dwarf_Word file = 0, line = 0;
    Dwarf_Files *files;
    size_t count;
    frame->file = NULL;
    frame->line = 0;
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &file) ||
        dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &line) ||
        dwarf_getsrcfiles(unit, &files, &count) || file >= count) {
        return;
    }
    frame->file = dwarf_filesrc(files, file, NULL, NULL);
    frame->line = (int)line;
}

/* What surrounds the address, innermost first; to be freed. */
static int find_scopes(Dwarf_Die *unit, Dwarf_Addr address, Dwarf_Die **out_scopes)
{
    Dwarf_Die *scopes = NULL; /* from the innermost on they are those of where an inlined function was written */
    int count = dwarf_getscopes(unit, address, &scopes);
    if (count > 0) {
        count = dwarf_getscopes_die(&scopes[0], out_scopes);
    }
    free(scopes);
    return count;
}

/* Functions that the compiler has put into others have no frame, but readers look for them. Changes frame->file and
 * ->line to the outermost's place. */
static void tell_inlined(struct walk *walk, Dwfl_Module *module, Dwarf_Addr address, struct unwind_frame *frame)
{
    Dwarf_Addr bias;
    Dwarf_Die *unit = dwfl_module_addrdie(module, address, &bias), *scopes = NULL;
    int count = unit ? find_scopes(unit, address - bias, &scopes) : 0;
    for (int i = 0; i < count; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag == DW_TAG_subprogram) {
            const char *name = name_of(&scopes[i]);
            frame->function = name ? name : frame->function;
            break;
        }
        if (tag == DW_TAG_inlined_subroutine) {
            struct unwind_frame inlined = *frame;
            inlined.function = name_of(&scopes[i]);
            walk->listener->on_frame(walk->listener->arg, &inlined);
            frame->signal = false;
            go_to_caller(unit, &scopes[i], frame);
        }
    }
    free(scopes);
}

/* libdw gives the nearest line, also for what was assembled without any. */
static Dwfl_Line *line_at(Dwfl_Module *module, Dwarf_Addr address)
{
    Dwarf_Addr bias;
    Dwarf_Die *unit = dwfl_module_addrdie(module, address, &bias);
    return unit && dwarf_haspc(unit, address - bias) > 0 ? dwfl_module_getsrc(module, address) : NULL;
}

static void tell(struct walk *walk, const struct place *place)
{
    bool signal = place->is_here && place != walk->places;
    Dwarf_Addr address = place->is_here ? place->address : place->address - 1;
    struct unwind_frame frame = { .address = place->address, .signal = signal };
    Dwfl_Module *module = dwfl_addrmodule(walk->dwfl, address);
    if (module) {
        Dwfl_Line *line = line_at(module, address);
        frame.object = dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
        frame.function = dwfl_module_addrname(module, address);
        frame.file = line ? dwfl_lineinfo(line, NULL, &frame.line, NULL, NULL, NULL) : NULL;
        tell_inlined(walk, module, address, &frame);
    }
    walk->listener->on_frame(walk->listener->arg, &frame);
}

/* While the thread stands still: names come later. */
static int on_frame(Dwfl_Frame *state, void *arg)
{
    struct walk *walk = arg;
    struct place *place = &walk->places[walk->count];
    if (!dwfl_frame_pc(state, &place->address, &place->is_here)) {
        return DWARF_CB_ABORT;
    }
    if (signal_frame_read(state, walk->thread, place->address, &walk->signal_frame)) {
        walk->cut = true;
        return DWARF_CB_ABORT;
    }
    return ++walk->count < FRAMES_MOST ? DWARF_CB_OK : DWARF_CB_ABORT;
}

/* ---- the whole ---- */

static char *debug_path; /* NULL: where the system keeps it */

static const Dwfl_Callbacks callbacks = { .find_elf = dwfl_linux_proc_find_elf,
                                          .find_debuginfo = dwfl_standard_find_debuginfo,
                                          .debuginfo_path = &debug_path };

static int fail(casgi_error_t *out_error, pid_t thread, int number)
{
    const char *reason = number > 0 ? strerror(number == ENOENT ? ESRCH : number) : dwfl_errmsg(-1);
    return casgi_error_set(out_error, CASGI_EFAILED, "the stack of thread %d cannot be read: %s", (int)thread,
                           reason ? reason : "unknown error");
}

/* What the process has loaded. The Dwfl is to be ended, also if this fails. */
static int open_modules(pid_t process, Dwfl **out_dwfl)
{
    Dwfl *dwfl = dwfl_begin(&callbacks);
    *out_dwfl = dwfl;
    int rc = dwfl ? dwfl_linux_proc_report(dwfl, process) : -1;
    return rc ? rc : dwfl_report_end(dwfl, NULL, NULL);
}

static int open_process(struct walk *walk, pid_t process, pid_t thread, casgi_error_t *out_error)
{
    int rc = open_modules(process, &walk->dwfl);
    if (!rc) {
        rc = dwfl_linux_proc_attach(walk->dwfl, process, true /* it will stand still */);
    }
    return rc ? fail(out_error, thread, rc) : 0;
}

/* Goes on where the thread was when the signal came. */
static void take_interrupted(struct walk *walk, pid_t process, pid_t thread)
{
    Dwfl *dwfl;
    if (open_modules(process, &dwfl) == 0 && signal_frame_attach(&walk->signal_frame, dwfl, process, thread)) {
        (void)dwfl_getthread_frames(dwfl, thread, on_frame, walk);
    }
    dwfl_end(dwfl);
}

/* What the thread stands still for. */
static int take_places(struct walk *walk, pid_t process, pid_t thread, casgi_error_t *out_error)
{
    int rc = seize(thread, out_error);
    if (rc) {
        return rc;
    }
    rc = interrupt(thread, out_error);
    if (!rc) {
        (void)dwfl_getthread_frames(walk->dwfl, thread, on_frame, walk);
        if (walk->cut) {
            take_interrupted(walk, process, thread);
        }
        rc = walk->count ? 0 : fail(out_error, thread, 0);
        let_go(thread);
    }
    return rc;
}

static int walk_stack(pid_t process, pid_t thread, const struct unwind_listener *listener, casgi_error_t *out_error)
{
    static struct walk walk;
    walk = (struct walk){ .thread = thread, .listener = listener };
    (void)unsetenv("DEBUGINFOD_URLS"); /* nobody on the network is asked */
    int rc = open_process(&walk, process, thread, out_error);
    if (!rc) {
        rc = take_places(&walk, process, thread, out_error);
    }
    if (!rc) {
        listener->on_taken(listener->arg);
    }
    for (unsigned i = 0; !rc && i < walk.count; i++) {
        tell(&walk, &walk.places[i]);
    }
    dwfl_end(walk.dwfl);
    return rc;
}

extern CASGI_EXPORT const struct unwind_part casgi_part_unwind;
const struct unwind_part casgi_part_unwind = { .version = UNWIND_PART_VERSION, .walk = walk_stack };
