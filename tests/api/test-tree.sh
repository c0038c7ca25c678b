#!/bin/sh
# SPDX-License-Identifier: MIT
# Conventions of the source tree that a machine can check.
. "$(dirname "$0")/util-tap.sh"
cd "$SOURCE_ROOT" || exit 99

OURS='libnipc-proto libnipc-transport libnipc-service libnipc-cache tools tests bench'

sources() {
        find $OURS -name '*.[ch]' | sort
}

sources | while read -r file; do
        head -n 1 "$file" | grep -q '^/\* SPDX-License-Identifier: MIT \*/$' || echo "$file"
done >"$scratch/log"
nothing_found
ok 'every source file begins with its licence'

find $OURS -name meson.build -o -name '*.sh' | while read -r file; do
        head -n 2 "$file" | grep -q '^# SPDX-License-Identifier: MIT$' || echo "$file"
done >"$scratch/log"
nothing_found
ok 'so does every script and build file'

sources | grep -E '\.h$' | while read -r file; do
        grep -q '^#pragma once$' "$file" || echo "$file"
done >"$scratch/log"
nothing_found
ok 'every header says pragma once'

# What has a main, or one made by a macro, is a program.
grep -lE '^(int main\(|TAP_MAIN\(|UTIL_MAIN\(|int LLVMFuzzerTestOneInput\()' \
        $(sources | grep -E '^(tests|bench)/.*\.c$') | while read -r file; do
        case $(basename "$file") in
        test-*.c | bench-*.c | fuzz-*.c | replay.c | consumer.c) ;;
        *) echo "$file" ;;
        esac
done >"$scratch/log"
nothing_found
ok 'programs are called test-, bench- or fuzz-'

find tests -name '*.[ch]' -o -name '*.sh' | while read -r file; do
        case $(basename "$file") in
        test-* | util-* | fuzz-* | fuzz.h | replay.c | tap.h | consumer.c) ;;
        *) echo "$file" ;;
        esac
done >"$scratch/log"
nothing_found
ok 'what tests share is called util-'

sources | grep -E '^tests/' | xargs wc -l | awk '$2 != "total" && $1 > 500' >"$scratch/log"
nothing_found
ok 'no test has more than 500 lines'

sources | grep -E '^(libnipc|tools|bench)' | xargs wc -l | awk '$2 != "total" && $1 > 800' \
        >"$scratch/log"
nothing_found
ok 'no source file has more than 800 lines'

grep -nE '\b(sleep|usleep|nanosleep|g_usleep)[[:space:]]*\(' $(sources | grep -E '^tests/') \
        >"$scratch/log"
nothing_found
ok 'no test sleeps'

# The state of tap.h is that of one source file: a check elsewhere would count nowhere.
find tests -name 'util-*.c' -print0 |
        xargs -0 grep -nE '\b(tap_(check|fail|require|eq_[a-z]+)|util_eq_error)\(' >"$scratch/log"
nothing_found
ok 'only tests check'

sources | xargs grep -nP '\t|[ ]+$' >"$scratch/log"
nothing_found
ok 'no tabs, no spaces at the end of a line'

sources | grep -E '^libnipc' | xargs grep -nE '\b(assert|abort|printf|exit)[[:space:]]*\(' |
        grep -vE '_Static_assert|:[[:space:]]*(/?\*|//)' >"$scratch/log"
nothing_found
ok 'no library asserts, prints or ends the process'
done_testing
