# SPDX-License-Identifier: MIT
# TAP for shell tests. Sourced. The environment, set by the build: SOURCE_ROOT, BUILD_ROOT, CC, and
# CXX, which is empty where there is no C++ compiler.

: "${SOURCE_ROOT:?}" "${BUILD_ROOT:?}" "${CC:?}"
for tool in nm readelf pkg-config awk; do
        command -v "$tool" >/dev/null || { echo "Bail out! no $tool"; exit 99; }
done

n_cases=0
n_failed=0
LIBRARIES='proto transport service cache' # in dependency order

# What is searched and not there has no faults: make sure that there is something.
for library in $LIBRARIES; do
        [ -d "$SOURCE_ROOT/libnipc-$library/src" ] || { echo "Bail out! no $library"; exit 99; }
done

scratch=$(mktemp -d "${TMPDIR:-/tmp}/nipc-api-XXXXXX") || exit 99
trap 'rm -rf "$scratch"' EXIT
trap 'exit 99' HUP INT TERM

# ok NAME: the last command decided, as in `command; ok "name"`. A log in $scratch/log is shown.
ok() {
        status=$?
        n_cases=$((n_cases + 1))
        if [ "$status" -eq 0 ]; then
                echo "ok $n_cases - $1"
        else
                n_failed=$((n_failed + 1))
                [ -s "$scratch/log" ] && head -n 40 "$scratch/log" | sed 's/^/# /'
                echo "not ok $n_cases - $1"
        fi
        : >"$scratch/log"
}

skip() {
        n_cases=$((n_cases + 1))
        echo "ok $n_cases - $1 # SKIP $2"
}

# Nothing was written to the log: that is the success of a search for what must not be.
nothing_found() {
        [ ! -s "$scratch/log" ]
}

done_testing() {
        echo "1..$n_cases"
        [ "$n_failed" -eq 0 ]
}

library_dir() {
        echo "$SOURCE_ROOT/libnipc-$1"
}

library_file() {
        echo "$BUILD_ROOT/libnipc-$1/libnipc-$1.so.0"
}

# Libraries below one in dependency order, and that one itself.
lower_libraries() {
        for library in $LIBRARIES; do
                [ "$library" = "$1" ] && return
                echo "$library"
        done
}

# -I flags for the public headers of all libraries.
include_flags() {
        for library in $LIBRARIES; do
                printf ' -I%s/include' "$(library_dir "$library")"
        done
}
