#!/bin/sh
# SPDX-License-Identifier: MIT
# A plain build, installed: what lies where, and a program that knows nothing but pkg-config.
. "$(dirname "$0")/util-tap.sh"

prefix=$scratch/usr
unset DESTDIR CFLAGS LDFLAGS PKG_CONFIG_PATH

# A build of its own, because this one may have sanitizers, coverage, or another system's compiler.
meson setup "$scratch/build" "$SOURCE_ROOT" --prefix="$prefix" --libdir=lib --buildtype=release \
        -Dtools=disabled -Dtests=disabled -Dbench=disabled >"$scratch/log" 2>&1
ok 'is configured'
meson compile -C "$scratch/build" >"$scratch/log" 2>&1
ok 'is compiled'
meson install -C "$scratch/build" --no-rebuild >"$scratch/log" 2>&1
ok 'is installed'

for library in $LIBRARIES; do
        for file in "lib/libnipc-$library.so" "lib/libnipc-$library.so.0" \
                "lib/pkgconfig/libnipc-$library.pc"; do
                [ -e "$prefix/$file" ] || echo "no $file"
        done >"$scratch/log"
        nothing_found
        ok "libnipc-$library has its files"
done

for library in $LIBRARIES; do
        ls "$(library_dir "$library")/include/nipc"
done | sort >"$scratch/public"
ls "$prefix/include/nipc" | sort | diff "$scratch/public" - >"$scratch/log"
ok 'all public headers are there, and no other'
find "$prefix" -name '*.a' >"$scratch/log"
nothing_found
ok 'static archives stay here'
find "$prefix" -type f ! -path '*/include/nipc/*' ! -path '*/lib/lib*.so*' \
        ! -path '*/lib/pkgconfig/*.pc' >"$scratch/log"
nothing_found
ok 'nothing else is installed'

export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
export LD_LIBRARY_PATH="$prefix/lib"
for library in $LIBRARIES; do
        pkg-config --exists --print-errors "libnipc-$library" >"$scratch/log" 2>&1
        ok "pkg-config knows libnipc-$library"
        version=$(sed -n "s/^ *version: '\(.*\)',/\1/p" "$SOURCE_ROOT/meson.build" | head -n 1)
        [ "$(pkg-config --modversion "libnipc-$library")" = "$version" ]
        ok "and its version"
done

# Flags of the one library alone; a release build calls nothing that ends a process either.
$CC -std=c11 -Wall -Wextra -Werror -o "$scratch/consumer" "$SOURCE_ROOT/tests/api/superproject/consumer.c" \
        $(pkg-config --cflags --libs libnipc-cache) >"$scratch/log" 2>&1
ok 'a program of libnipc-cache is built'
(cd "$scratch" && ./consumer) >"$scratch/log" 2>&1
ok 'and runs'
if [ -n "$CXX" ]; then
        cp "$SOURCE_ROOT/tests/api/superproject/consumer.c" "$scratch/consumer.cc"
        $CXX -std=c++11 -Wall -o "$scratch/consumer-cc" "$scratch/consumer.cc" \
                $(pkg-config --cflags --libs libnipc-cache) >"$scratch/log" 2>&1
        ok 'the same as C++ is built'
        (cd "$scratch" && ./consumer-cc) >"$scratch/log" 2>&1
        ok 'and runs'
else
        skip 'the same as C++' 'no C++ compiler'
fi
for library in $LIBRARIES; do
        nm -D --undefined-only "$prefix/lib/libnipc-$library.so" |
                grep -wE 'abort|exit|__assert_fail|printf|fprintf|stderr' >"$scratch/log"
        nothing_found
        ok "the release libnipc-$library neither ends nor prints"
done
done_testing
