#!/bin/sh
# SPDX-License-Identifier: MIT
# Every public header compiles alone and twice, as strict C11 and as C++11, and includes nothing but
# standard headers and those of libraries at or below its own.
. "$(dirname "$0")/util-tap.sh"

FLAGS='-fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wmissing-declarations -Werror'

# Names of the headers that a library brings.
headers_of() {
        for header in "$(library_dir "$1")"/include/nipc/*.h; do
                basename "$header"
        done
}

check_includes() {
        allowed='errno.h stdbool.h stddef.h stdint.h string.h'
        for below in $(lower_libraries "$1") "$1"; do
                for other in $(headers_of "$below"); do
                        allowed="$allowed nipc/$other"
                done
        done
        sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*//p' "$2" | while read -r included _; do
                case " $allowed " in
                *" $(echo "$included" | tr -d '<>') "*) ;;
                *) echo "includes $included" ;;
                esac
                case $included in
                '<'*) ;;
                *) echo "includes $included with quotes" ;;
                esac
        done >"$scratch/log"
        nothing_found
}

for library in $LIBRARIES; do
        for name in $(headers_of "$library"); do
                header=$(library_dir "$library")/include/nipc/$name
                printf '#include <nipc/%s>\n#include <nipc/%s>\nextern int nothing;\n' \
                        "$name" "$name" >"$scratch/alone.c"
                cp "$scratch/alone.c" "$scratch/alone.cc"
                $CC -std=c11 $FLAGS -Wstrict-prototypes $(include_flags) "$scratch/alone.c" \
                        >"$scratch/log" 2>&1
                ok "$name is C11"
                if [ -n "$CXX" ]; then
                        $CXX -std=c++11 $FLAGS $(include_flags) "$scratch/alone.cc" \
                                >"$scratch/log" 2>&1
                        ok "$name is C++11"
                else
                        skip "$name is C++11" 'no C++ compiler'
                fi
                check_includes "$library" "$header"
                ok "$name includes only what it may"
                [ "$(wc -l <"$header")" -le 400 ]
                ok "$name has at most 400 lines"
        done
done
done_testing
