#!/bin/sh
# SPDX-License-Identifier: MIT
# The order of the libraries is kept in their sources: each includes only what lies below it, the
# upper ones know no operating system, and the cache knows no session.
. "$(dirname "$0")/util-tap.sh"

# All source files of a library.
sources_of() {
        find "$(library_dir "$1")" -name '*.[ch]' | sort
}

# The nipc headers that a library may include: those that exist at or below it.
check_includes() {
        for below in $(lower_libraries "$1") "$1"; do
                ls "$(library_dir "$below")/include/nipc"
        done | sort >"$scratch/allowed"
        sources_of "$1" | xargs grep -hoE '#[[:space:]]*include[[:space:]]*<nipc/[^>]*>' |
                sed 's/.*<nipc\///; s/>//' | sort -u | comm -23 - "$scratch/allowed" >"$scratch/log"
        nothing_found
}

# Internal headers are reached by name, so that a sibling's are out of reach but for internal/.
check_quoted() {
        sources_of "$1" | xargs grep -hoE '#[[:space:]]*include[[:space:]]*"[^"]*"' |
                sed 's/.*"\(.*\)"/\1/' | sort -u | while read -r name; do
                found=$(find "$(library_dir "$1")" "$(library_dir proto)/internal" \
                        -name "$(basename "$name")" | head -n 1)
                [ -n "$found" ] || echo "$name"
        done >"$scratch/log"
        nothing_found
}

grep_sources() {
        sources_of "$1" | xargs grep -nE "$2" >"$scratch/log"
        nothing_found
}

for library in $LIBRARIES; do
        check_includes "$library"
        ok "libnipc-$library includes only what lies below it"
        check_quoted "$library"
        ok "libnipc-$library uses no internal header of another"
done

OS_MACROS='_WIN32|_WIN64|__linux__|__FreeBSD__|__APPLE__|__unix__'
OS_HEADERS='<(sys/(socket|un|epoll|eventfd|mman|stat|wait|ioctl|select|time)|linux/.*|windows|winsock2|unistd|fcntl|poll|netinet/.*|dirent)\.h>'
for library in proto service cache; do
        grep_sources "$library" "$OS_MACROS"
        ok "libnipc-$library does not ask which system it is on"
        grep_sources "$library" "$OS_HEADERS"
        ok "libnipc-$library includes no header of a system"
done
# internal/ is for all four, not for itself.
find "$(library_dir proto)/src" "$(library_dir proto)/include" -name '*.[ch]' | xargs grep -nE \
        '<(pthread|stdio|threads|stdatomic|errno)\.h>|\b(malloc|calloc|realloc)[[:space:]]*\(' >"$scratch/log"
nothing_found
ok 'libnipc-proto does no I/O, has no threads, and allocates nothing'
grep_sources cache '<nipc/(session|listener|poller|cancel|endpoint|clock)\.h>'
ok 'libnipc-cache includes no header of libnipc-transport'
grep_sources cache '\bnipc_(session|listener|poller|cancel|endpoint)_'
ok 'libnipc-cache calls nothing of libnipc-transport'
for library in service cache; do
        grep_sources "$library" '\b(AF_UNIX|sockaddr|SOCK_SEQPACKET|futex|memfd|epoll_|\.sock\b|ipcshm)'
        ok "libnipc-$library knows no mechanism of a transport"
done

# Public headers are the same everywhere.
for library in $LIBRARIES; do
        grep -nE "$OS_MACROS|pthread|windows\.h|sys/" "$(library_dir "$library")"/include/nipc/*.h |
                grep -vE ':[[:space:]]*(/?\*|//)' >"$scratch/log"
        nothing_found
        ok "the headers of libnipc-$library are the same on all systems"
done
done_testing
