#!/bin/sh
# SPDX-License-Identifier: MIT
# What a shared library exports is what its public headers declare and its symbol map says, no more
# and no less; what it needs is the C library and its lower siblings; and it calls nothing that a
# library must not (design, "It never hurts its host").
. "$(dirname "$0")/util-tap.sh"

# Functions declared at the top level of the headers of one library, one per line, sorted.
declared() {
        for header in "$(library_dir "$1")"/include/nipc/*.h; do
                echo "#include <nipc/$(basename "$header")>"
        done >"$scratch/all.c"
        # Line markers tell which file a line is from; bodies of inline functions are cut out.
        $CC -std=c11 -E $(include_flags) "$scratch/all.c" | awk -v own="libnipc-$1/include/nipc/" '
                /^# [0-9]+ / { mine = index($3, own) > 0; next }
                mine { text = text " " $0 }
                END {
                        depth = 0
                        for (i = 1; i <= length(text); i++) {
                                c = substr(text, i, 1)
                                if (c == "{") depth++
                                if (depth == 0 && c != ";") chunk = chunk c
                                if (c == "}" && --depth == 0 && chunk ~ /^ *static/) chunk = ""
                                if (depth == 0 && c == ";") {
                                        if (chunk !~ /^ *(static|typedef)/ &&
                                            match(chunk, /nipc_[a-z0-9_]+ *\(/))
                                                print substr(chunk, RSTART, RLENGTH)
                                        chunk = ""
                                }
                        }
                }' | tr -d ' (' | sort -u
}

exported() {
        nm -D --defined-only "$(library_file "$1")" | awk '$2 != "A" { print $3 }' |
                sed 's/@.*//' | sort -u
}

mapped() {
        sed -n '/global:/,/local:/s/^[[:space:]]*\(nipc_[a-z0-9_]*\);.*/\1/p' \
                "$(library_dir "$1")/libnipc-$1.map" | sort -u
}

needed() {
        readelf -d "$(library_file "$1")" | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p'
}

# Anything that ends, prints, or changes what belongs to the process.
FORBIDDEN='abort|exit|_exit|_Exit|quick_exit|atexit|__cxa_atexit|__assert_fail|raise|kill
printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|putc|fputc|fwrite|perror|psignal|syslog
__printf_chk|__fprintf_chk|__vfprintf_chk|dprintf|stdout|stderr|warn|warnx|err|errx
signal|sigaction|sigprocmask|alarm|setitimer|timer_create|umask|chdir|fchdir
setenv|putenv|unsetenv|clearenv|getenv|setlocale|srand|srandom|rand|random|strtok|strerror
fork|vfork|system|popen|execve|execvp|posix_spawn|setuid|seteuid|setgid|prctl|setrlimit
mlockall|sleep|usleep|nanosleep|gets|strcpy|strcat|sprintf|vsprintf|alloca|pthread_cancel'

forbidden() {
        pattern=$(echo "$FORBIDDEN" | tr '\n' '|')
        nm -D --undefined-only "$(library_file "$1")" | awk '{ print $NF }' | sed 's/@.*//' |
                grep -Ex "$pattern"
}

for library in $LIBRARIES; do
        declared "$library" >"$scratch/declared"
        exported "$library" >"$scratch/exported"
        mapped "$library" >"$scratch/mapped"
        [ -s "$scratch/declared" ]
        ok "libnipc-$library declares functions"
        diff "$scratch/declared" "$scratch/exported" >"$scratch/log"
        ok "libnipc-$library exports what it declares"
        diff "$scratch/mapped" "$scratch/exported" >"$scratch/log"
        ok "libnipc-$library exports what its map says"
        awk 'length($0) > 45' "$scratch/exported" >"$scratch/log"
        nothing_found
        ok "libnipc-$library has names of a reasonable length"
        nm -D --defined-only "$(library_file "$library")" | awk '$2 != "A" && $2 != "T"' \
                >"$scratch/log"
        nothing_found
        ok "libnipc-$library exports no data"
        nm -D --defined-only --with-symbol-versions "$(library_file "$library")" |
                awk '$2 != "A" && $3 !~ /@@LIBNIPC_[A-Z]*_[0-9.]*$/' >"$scratch/log"
        nothing_found
        ok "libnipc-$library has a version on every symbol"
        readelf -d "$(library_file "$library")" |
                grep -q "SONAME.*\[libnipc-$library\.so\.0\]"
        ok "libnipc-$library has its soname"
        {
                lower_libraries "$library" | sed 's/.*/libnipc-&.so.0/'
                # The C library, and the run time of sanitizers where the build has them.
                needed "$library" | grep -E '^(libc|ld-[a-z0-9_.-]*|libpthread|libgcc_s)\.so\.[0-9]+$'
                needed "$library" | grep -E '^lib(a|t|ub)san\.so|^libclang_rt|^libm\.so'
        } | sort -u >"$scratch/allowed"
        needed "$library" | sort -u | comm -23 - "$scratch/allowed" >"$scratch/log"
        nothing_found
        ok "libnipc-$library needs only what lies below it"
        forbidden "$library" >"$scratch/log"
        nothing_found
        ok "libnipc-$library leaves the process alone"
        ! readelf -d "$(library_file "$library")" | grep -q TEXTREL
        ok "libnipc-$library has no text relocations"
        ! readelf -lW "$(library_file "$library")" | grep GNU_STACK | grep -q E
        ok "libnipc-$library needs no executable stack"
done
done_testing
