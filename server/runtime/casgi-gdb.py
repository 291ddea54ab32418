"""gdb: the tasks of a casgi process, or of its core file.

    (gdb) source casgi-gdb.py
    (gdb) casgi tasks          one line a task
    (gdb) casgi stacks         the same, each with its stack

A task that waits is not on any thread: its registers lie on its own stack, where jump_fcontext left them. The stack is
walked by its frame pointers, so that it works on a core file as well; frames of a library built without them are left
out.
"""

import gdb

STATES = ("ready", "running", "parked", "ended")

# Where jump_fcontext keeps the frame pointer and the return address, from the saved stack pointer (Boost.Context 1.74).
SAVED = {"i386:x86-64": (0x30, 0x38), "aarch64": (0x90, 0x98)}
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


def functions(pc):
    """The function at `pc`, with those it was inlined into, innermost first."""
    names = []
    block = gdb.block_for_pc(pc)
    while block and not block.is_static and not block.is_global:
        if block.function:
            names.append(block.function.name)
        block = block.superblock
    return names or [gdb.execute("info symbol 0x%x" % pc, to_string=True).split(" in ")[0].strip()]


def where(pc):
    place = gdb.find_pc_line(pc)
    at = " at %s:%d" % (place.symtab.filename, place.line) if place.symtab else ""
    return "0x%x in %s%s" % (pc, " in ".join(functions(pc)), at)


def frames(task):
    """The return addresses on a parked task's stack."""
    architecture = gdb.selected_frame().architecture().name()
    if architecture not in SAVED:
        return
    frame_at, return_at = SAVED[architecture]
    context = int(task["co"]["context"])
    low, high = int(task["stack"]["low"]), int(task.address)
    yield word_at(context + return_at)
    frame = word_at(context + frame_at)
    for _ in range(MOST_FRAMES):
        if not low <= frame < high - 16:
            return
        pc = word_at(frame + 8)
        if not pc:
            return
        yield pc
        caller = word_at(frame)
        if caller <= frame:
            return
        frame = caller


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
                    for number, pc in enumerate(frames(task)):
                        print("  #%-2d %s" % (number, where(pc - 1)))  # a return address
        print("%d tasks" % count)


class Stacks(Tasks):
    """The tasks, each with its stack."""

    stacks = True

    def __init__(self):
        super().__init__("casgi stacks")


Casgi()
Tasks()
Stacks()
