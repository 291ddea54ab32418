#include "runtime/unwind/signal_frame.h"

#ifdef __aarch64__

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <ucontext.h>

/* The kernel's struct rt_sigframe: siginfo, then ucontext. */
enum { CONTEXT = sizeof(siginfo_t) + offsetof(ucontext_t, uc_mcontext) };
enum { STACK_POINTER = 31 }; /* by DWARF's numbers */

static bool read_word(pid_t thread, Dwarf_Addr address, Dwarf_Word *out_word)
{
    errno = 0;
    long word = ptrace(PTRACE_PEEKDATA, thread, (void *)(uintptr_t)address, NULL);
    if (errno) {
        return false;
    }
    *out_word = (Dwarf_Word)word;
    return true;
}

bool signal_frame_read(Dwfl_Frame *state, pid_t thread, Dwarf_Addr address, struct signal_frame *out_frame)
{
    static const uint32_t code[] = { 0xd2801168, 0xd4000001 }; /* mov x8, #__NR_rt_sigreturn; svc #0 */
    struct signal_frame frame;
    Dwarf_Word found = 0, stack = 0;
    if (!read_word(thread, address, &found) || memcmp(&found, code, sizeof(code)) != 0 ||
        dwfl_frame_reg(state, STACK_POINTER, &stack) != 0) {
        return false;
    }
    Dwarf_Word context = stack + CONTEXT, registers = context + offsetof(mcontext_t, regs);
    _Static_assert(offsetof(mcontext_t, sp) == offsetof(mcontext_t, regs) + 31 * sizeof(Dwarf_Word), "sp is the 32nd");
    for (unsigned i = 0; i < sizeof(frame.registers) / sizeof(frame.registers[0]); i++) {
        if (!read_word(thread, registers + i * sizeof(Dwarf_Word), &frame.registers[i])) {
            return false;
        }
    }
    if (!read_word(thread, context + offsetof(mcontext_t, pc), &frame.address)) {
        return false;
    }
    *out_frame = frame;
    return true;
}

/* ---- what libdw asks ---- */

static pid_t attached_thread;

static pid_t next_thread(Dwfl *dwfl, void *arg, void **in_out_thread)
{
    (void)dwfl;
    if (*in_out_thread) {
        return 0; /* there is no other */
    }
    *in_out_thread = arg;
    return attached_thread;
}

static bool read_memory(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *out_word, void *arg)
{
    (void)dwfl;
    (void)arg;
    return read_word(attached_thread, address, out_word);
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
    const struct signal_frame *frame = arg;
    dwfl_thread_state_register_pc(thread, frame->address);
    return dwfl_thread_state_registers(thread, 0, 32, frame->registers);
}

static const Dwfl_Thread_Callbacks callbacks = { .next_thread = next_thread,
                                                 .memory_read = read_memory,
                                                 .set_initial_registers = set_registers };

bool signal_frame_attach(const struct signal_frame *frame, Dwfl *dwfl, pid_t process, pid_t thread)
{
    attached_thread = thread;
    return dwfl_attach_state(dwfl, NULL /* any module tells the machine */, process, &callbacks,
                             (void *)(uintptr_t)frame);
}

#else

bool signal_frame_read(Dwfl_Frame *state, pid_t thread, Dwarf_Addr address, struct signal_frame *out_frame)
{
    (void)state;
    (void)thread;
    (void)address;
    (void)out_frame;
    return false;
}

bool signal_frame_attach(const struct signal_frame *frame, Dwfl *dwfl, pid_t process, pid_t thread)
{
    (void)frame;
    (void)dwfl;
    (void)process;
    (void)thread;
    return false;
}

#endif
