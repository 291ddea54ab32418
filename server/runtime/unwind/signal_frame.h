/* runtime/unwind/signal_frame.h: what libdw cannot follow on arm64: the kernel's frame of a signal has no unwind
 * information there, so that a stack would end in the signal's handler. */
#pragma once

#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Where a thread was when the signal came: x0 to x30 and the stack pointer as DWARF numbers them, and the address. */
struct signal_frame {
    Dwarf_Word registers[32];
    Dwarf_Word address;
};

/* Whether `state`, at `address`, is the frame of a signal; the thread is stopped and traced. Always false but on
 * arm64. */
bool signal_frame_read(Dwfl_Frame *state, pid_t thread, Dwarf_Addr address, struct signal_frame *out_frame);

/* Makes `dwfl`, where nothing is attached yet, begin at the frame. Both are borrowed until dwfl_end. */
bool signal_frame_attach(const struct signal_frame *frame, Dwfl *dwfl, pid_t process, pid_t thread);
