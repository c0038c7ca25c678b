#!/bin/sh
# SPDX-License-Identifier: MIT
# The tree as a subproject of somebody else's: the dependency is found, and nothing of ours is
# installed.
. "$(dirname "$0")/util-tap.sh"

unset DESTDIR CFLAGS LDFLAGS PKG_CONFIG_PATH
super=$scratch/superproject
cp -R "$SOURCE_ROOT/tests/api/superproject" "$super" && mkdir "$super/subprojects" &&
        ln -s "$SOURCE_ROOT" "$super/subprojects/nipc"
ok 'a project with this tree inside'
meson setup "$scratch/build" "$super" --prefix="$scratch/usr" --wrap-mode=forcefallback \
        >"$scratch/log" 2>&1
ok 'is configured'
meson compile -C "$scratch/build" >"$scratch/log" 2>&1
ok 'is compiled'
meson test -C "$scratch/build" >"$scratch/log" 2>&1
ok 'its program runs'
meson install -C "$scratch/build" --no-rebuild >"$scratch/log" 2>&1
ok 'is installed'
find "$scratch/usr" ! -type d ! -path '*/bin/consumer' >"$scratch/log"
nothing_found
ok 'and nothing of ours with it'
done_testing
