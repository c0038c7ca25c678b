/* SPDX-License-Identifier: MIT */
/*
 * Every call of a program in a lane of its thread. Link this one file, built without
 * -finstrument-functions, to a program built with it, and name a file to be made:
 *
 *      cc -c nipc-instrument.c $(pkg-config --cflags libnipc-transport)
 *      cc -finstrument-functions program.c nipc-instrument.o $(pkg-config --libs libnipc-transport)
 *      NIPC_INSTRUMENT=program.lane ./a.out
 *
 * A controller may take the calls out of the file while the program runs; else the last ones of
 * each thread stay in it, also when the program crashes. Where there is no NIPC_INSTRUMENT, or no
 * lane left for a thread, nothing is written. Functions of the program have names, others numbers.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* program_invocation_short_name */
#endif

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <nipc/clock.h>
#include <nipc/trace.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct nipc_lane_pool *pool;
static pthread_key_t key;
static _Thread_local struct nipc_lane *lane;
static _Thread_local bool has_asked; /* for a lane: once, whatever came of it */

extern const char __ehdr_start[]; /* where the linker put the program, as it is loaded */

/* The lane is the next thread's from here on. What this one still calls is not written. */
static void end_thread(void *leased)
{
        lane = NULL;
        nipc_lane_return(leased);
}

static struct nipc_lane *find_lane(void)
{
        if (has_asked || !pool)
                return lane;
        has_asked = true;
        if (nipc_lane_lease(pool, &lane) == 0)
                pthread_setspecific(key, lane);
        return lane;
}

void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

void __cyg_profile_func_enter(void *function, void *caller)
{
        struct nipc_lane *to = find_lane();

        if (to)
                nipc_trace_put(to, NIPC_TRACE_BEGIN, (uintptr_t)function, nipc_clock_now_ns());
}

void __cyg_profile_func_exit(void *function, void *caller)
{
        struct nipc_lane *to = find_lane();

        if (to)
                nipc_trace_put(to, NIPC_TRACE_END, (uintptr_t)function, nipc_clock_now_ns());
}

/* What the program's file calls its functions, unless it was stripped. */
static void put_names(struct nipc_lane *names, const char *image)
{
        const ElfW(Ehdr) *header = (const void *)image;
        const ElfW(Shdr) *sections = (const void *)(image + header->e_shoff);
        const uintptr_t bias = header->e_type == ET_DYN ? (uintptr_t)__ehdr_start : 0;

        for (unsigned i = 0; i < header->e_shnum; i++) {
                const ElfW(Sym) *symbols = (const void *)(image + sections[i].sh_offset);
                const char *strings = image + sections[sections[i].sh_link].sh_offset;

                for (size_t s = 0; sections[i].sh_type == SHT_SYMTAB &&
                                   s < sections[i].sh_size / sizeof(*symbols);
                     s++)
                        if ((symbols[s].st_info & 15) == STT_FUNC && symbols[s].st_value)
                                nipc_trace_put_name(names, NIPC_TRACE_NAME,
                                                    bias + symbols[s].st_value,
                                                    strings + symbols[s].st_name);
        }
}

/* In a lane of their own, which no event pushes them out of. */
static void name_functions(void)
{
        int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        struct nipc_lane *names;
        struct stat st;
        void *image;

        if (fd < 0)
                return;
        if (fstat(fd, &st) < 0 || nipc_lane_lease(pool, &names) < 0) {
                close(fd);
                return;
        }
        nipc_trace_put_name(names, NIPC_TRACE_PROCESS, (uint64_t)getpid(),
                            program_invocation_short_name);
        image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        close(fd);
        if (image != MAP_FAILED) {
                put_names(names, image);
                munmap(image, (size_t)st.st_size);
        }
        nipc_lane_flush(names); /* for a controller that comes while the program runs */
}

__attribute__((__constructor__)) static void begin(void)
{
        struct nipc_lane_pool_config config = NIPC_LANE_POOL_CONFIG_INIT;
        int r;

        config.path = getenv("NIPC_INSTRUMENT");
        config.policy = NIPC_LANE_OVERWRITE_OLDEST;
        if (!config.path || pthread_key_create(&key, end_thread))
                return;
        r = nipc_lane_pool_new(&config, &pool);
        if (r < 0)
                fprintf(stderr, "%s: not instrumented: %s\n", config.path, strerror(-r));
        else
                name_functions();
}
