"""gdb: the tasks of a casgi process, or of its core file.

    (gdb) source casgi-gdb.py
    (gdb) casgi tasks          one line a task
    (gdb) casgi stacks         the same, each with its stack

A task that waits is not on any thread: its registers lie on its own stack, where jump_fcontext left them. gdb is told
that the current frame was called from there, and unwinds the rest itself: without frame pointers, through inlined
functions, and on a core file as well.
"""

import gdb
from gdb.unwinder import Unwinder, register_unwinder

STATES = ("ready", "running", "parked", "ended")

# Where jump_fcontext keeps the registers, from the saved stack pointer, and how much of the stack it takes (Boost.Context
# 1.74).
SAVED = {
    "i386:x86-64": ({"r12": 0x08, "r13": 0x10, "r14": 0x18, "r15": 0x20, "rbx": 0x28, "rbp": 0x30, "rip": 0x38}, "rsp", 0x40),
    "aarch64": ({**{"x%d" % n: 0x40 + 8 * (n - 19) for n in range(19, 31)}, "pc": 0xA0}, "sp", 0xB0),
}
MOST_FRAMES = 64


def words(address):
    return gdb.Value(address).cast(gdb.lookup_type("unsigned long").pointer())


def word_at(address):
    return int(words(address).dereference())


def loops():
    """The loop of each thread."""
    seen = set()
    selected = gdb.selected_thread()
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        try:
            loop = gdb.parse_and_eval("loop_of_thread")
        except gdb.error:
            continue
        if int(loop) and int(loop) not in seen:
            seen.add(int(loop))
            yield loop.dereference()
    if selected:
        selected.switch()


def tasks(loop):
    task_type = gdb.lookup_type("struct task")
    offset = next(f.bitpos // 8 for f in task_type.fields() if f.name == "in_loop")
    head = loop["tasks"].address
    node = loop["tasks"]["next"]
    while int(node) != int(head):
        yield gdb.Value(int(node) - offset).cast(task_type.pointer()).dereference()
        node = node["next"]


def text(value):
    return value.string(errors="replace") if int(value) else ""


def wait_name(task):
    name = str(task["wait"].cast(gdb.lookup_type("enum task_wait")))
    return name.replace("TASK_WAIT_", "").lower()


def line(task):
    state = STATES[int(task["state"])]
    waits = " for " + wait_name(task) if state == "parked" else ""
    parent = " child of 0x%x" % int(task["parent"]) if int(task["parent"]) else ""
    cancelled = " cancelled" if int(task["cancels"]) else ""
    return "0x%x %s: %s%s%s%s" % (int(task.address), text(task["name"]), state, waits, cancelled, parent)


class Place:
    """What gdb tells frames apart by."""

    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class Parked(Unwinder):
    """While `context` is set: the innermost frame's caller is what jump_fcontext saved there."""

    def __init__(self):
        super().__init__("casgi parked task")
        self.context = 0
        self.used = False

    def __call__(self, frame):
        saved = SAVED.get(frame.architecture().name())
        if not self.context or self.used or not saved:
            return None
        self.used = True
        registers, stack_pointer, size = saved
        info = frame.create_unwind_info(Place(gdb.Value(self.context), gdb.Value(0)))
        for name, offset in registers.items():
            info.add_saved_register(name, self.typed(frame, name, word_at(self.context + offset)))
        info.add_saved_register(stack_pointer, self.typed(frame, stack_pointer, self.context + size))
        return info

    @staticmethod
    def typed(frame, name, word):
        return gdb.Value(word).cast(frame.read_register(name).type)

    def enter(self, context):
        self.context, self.used = context, False
        gdb.invalidate_cached_frames()


parked = Parked()


def where(frame):
    place = frame.find_sal()
    at = " at %s:%d" % (place.symtab.filename, place.line) if place.symtab else ""
    return "0x%x in %s%s" % (frame.pc(), frame.name() or "??", at)


def frames(task):
    """The frames on a parked task's stack, as lines."""
    lines = []
    low, high = int(task["stack"]["low"]), int(task.address)
    parked.enter(int(task["co"]["context"]))
    try:
        frame = gdb.newest_frame().older()
        while frame and len(lines) < MOST_FRAMES and low <= int(frame.read_register("sp")) < high:
            lines.append(where(frame))
            frame = frame.older()
    except gdb.error as error:
        lines.append("(%s)" % error)
    finally:
        parked.enter(0)
    return lines


class Casgi(gdb.Command):
    """The tasks of a casgi process: "casgi tasks", "casgi stacks"."""

    def __init__(self):
        super().__init__("casgi", gdb.COMMAND_STACK, prefix=True)


class Tasks(gdb.Command):
    """One line for each task: its address, name, state, what it waits for."""

    stacks = False

    def __init__(self, name="casgi tasks"):
        super().__init__(name, gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        count = 0
        for loop in loops():
            for task in tasks(loop):
                print(line(task))
                count += 1
                if self.stacks and STATES[int(task["state"])] in ("parked", "ready"):
                    for number, text_of_frame in enumerate(frames(task)):
                        print("  #%-2d %s" % (number, text_of_frame))
        print("%d tasks" % count)


class Stacks(Tasks):
    """The tasks, each with its stack."""

    stacks = True

    def __init__(self):
        super().__init__("casgi stacks")


register_unwinder(None, parked, replace=True)
Casgi()
Tasks()
Stacks()
