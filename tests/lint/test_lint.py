#!/usr/bin/env python3
"""Every check must be able to fail: each is given one bad file, and the same one mended."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lint import CHECKS  # noqa: E402
from rules import FILE_LINES, FUNCTION_LINES, ROOT  # noqa: E402
from source import code_of, files_of  # noqa: E402

LONG_BODY = "    x++;\n" * FUNCTION_LINES


class Lint(unittest.TestCase):
    def findings(self, check, **files):
        """What a check says of a tree with these files ("/" written as "__", "." as "_DOT_")."""
        with tempfile.TemporaryDirectory() as root:
            for name, text in files.items():
                path = os.path.join(root, name.replace("__", "/").replace("_DOT_", "."))
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            return CHECKS[check](root, files_of(root))

    def refused(self, check, **files):
        self.assertEqual(len(self.findings(check, **files)), 1, self.findings(check, **files))

    def accepted(self, check, **files):
        self.assertEqual(self.findings(check, **files), [])

    def test_a_room_may_not_look_to_the_right(self):
        self.refused("rooms", server__net__x_DOT_c='#include "exchange/exchange.h"\n')
        self.accepted("rooms", server__exchange__x_DOT_c='#include "net/stream.h"\n')

    def test_rooms_of_one_floor_do_not_see_each_other(self):
        self.refused("rooms", server__module__x_DOT_c='#include "protocol/http1.h"\n')

    def test_the_supervisor_sees_only_what_needs_no_loop_in_net(self):
        self.accepted("rooms", server__supervisor__x_DOT_c='#include "net/listen.h"\n', server__net__listen_DOT_h="")
        self.refused("rooms", server__supervisor__x_DOT_c='#include "net/stream.h"\n',
                     server__net__stream_DOT_c="#include <uv.h>\n")
        self.refused("rooms", server__supervisor__x_DOT_c='#include "module/loader.h"\n')

    def test_libraries_stay_in_their_rooms(self):
        self.refused("rooms", server__exchange__x_DOT_c="#include <llhttp.h>\n")
        self.accepted("rooms", server__protocol__x_DOT_c="#include <llhttp.h>\n")

    def test_includes_name_their_room(self):
        self.refused("rooms", server__base__x_DOT_c='#include "buf.h"\n')
        self.accepted("rooms", server__base__x_DOT_c='#include "base/buf.h"\n#include "casgi/base.h"\n')

    def test_an_unknown_room_is_seen(self):
        self.refused("rooms", server__misc__x_DOT_c="")

    def test_the_abi_includes_next_to_nothing(self):
        self.refused("abi", abi__casgi__x_DOT_h="#include <stdio.h>\n")
        self.refused("abi", abi__casgi__x_DOT_h='#include "y.h"\n')
        self.accepted("abi", abi__casgi__x_DOT_h='#include "y.h"\n', abi__casgi__y_DOT_h="#include <stddef.h>\n")

    def test_banned_calls_are_found_in_code_only(self):
        self.refused("banned", server__base__x_DOT_c="int f(const char *s) { return atoi(s); }\n")
        self.accepted("banned", server__base__x_DOT_c='// atoi(s)\nconst char *s = "atoi(s)"; /* strcpy(a, b) */\n')
        self.accepted("banned", server__base__x_DOT_c="int n = my_atoi(s) + c->gets(s);\n")

    def test_long_functions_and_files_are_found(self):
        self.refused("lengths", server__base__x_DOT_c="int f(int x)\n{\n" + LONG_BODY + "}\n")
        self.accepted("lengths", server__base__x_DOT_c="int f(int x)\n{\n" + LONG_BODY[:-16] + "}\n")
        self.refused("lengths", server__base__x_DOT_c="int x;\n" * (FILE_LINES + 1))
        self.refused("lengths", examples__x__x_DOT_c="int x;\n" * 150)

    def test_the_root_is_listed(self):
        whole = {name.replace(".", "_DOT_"): "" for name in ROOT}
        self.accepted("root", **whole)
        self.refused("root", **whole, notes_DOT_txt="")
        whole.pop("LICENSE")
        self.refused("root", **whole)

    def test_text_is_clean(self):
        self.refused("text", server__base__x_DOT_c="int x; \n")
        self.refused("text", server__base__x_DOT_c="int x;")
        self.refused("text", server__base__x_DOT_c="\tint x;\n")
        self.accepted("text", server__base__x_DOT_c="int x;\n")

    def test_examples_compile_alone(self):
        self.refused("alone", examples__x__x_DOT_c="int f(void)\n{\n    return y;\n}\n")
        self.refused("alone", server__base__x_DOT_h="size_t f(void);\n")
        self.accepted("alone", server__base__x_DOT_h="#include <stddef.h>\nsize_t f(void);\n")

    def test_lines_stay_where_they_are_when_comments_go(self):
        self.assertEqual(code_of('a /* b\nc */ d "e" // f\ng'), 'a     \n     d " "     \ng')


if __name__ == "__main__":
    unittest.main()
