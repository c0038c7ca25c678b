/* SPDX-License-Identifier: MIT */

/*
 * Replays inputs through a fuzz target, as an ordinary test (TAP): the target's corpus, findings
 * of the past, the golden vectors. Each argument is a directory or a file; *.hex are hex digits,
 * anything else is taken as it is. Of each input all beginnings and some mutations are tried too,
 * the same on every run. Every input ends where its memory ends, so that sanitizers see any read
 * beyond.
 */

#include <dirent.h>

#include "../tap.h"
#include "fuzz.h"

enum {
        INPUT_MAX = 1024 * 1024,
        VARIED_MAX = 512, /* larger inputs are only run as they are */
        MUTATIONS = 64,
};

static unsigned n_inputs;

static void run(const uint8_t *data, size_t size)
{
        uint8_t *copy = fuzz_alloc(size);

        memcpy(copy, data, size);
        LLVMFuzzerTestOneInput(copy, size);
        free(copy);
}

static void run_mutations(const uint8_t *data, size_t size)
{
        uint64_t seed = size + 1;
        uint8_t *copy = fuzz_alloc(size);
        int i;

        for (i = 0; i < MUTATIONS && size; i++) {
                uint64_t n = 1 + tap_random(&seed) % 3;

                memcpy(copy, data, size);
                while (n--)
                        copy[tap_random(&seed) % size] = (uint8_t)tap_random(&seed);
                run(copy, size);
        }
        free(copy);
}

static size_t unhex(uint8_t *data, size_t size)
{
        static const char digits[] = "0123456789abcdef";
        size_t i, n = 0;

        for (i = 0; i < size; i++) {
                const char *digit = data[i] ? strchr(digits, data[i]) : NULL;
                uint8_t value;

                if (!digit)
                        continue;
                value = (uint8_t)(digit - digits);
                data[n / 2] = (uint8_t)(n % 2 ? data[n / 2] | value : value << 4);
                n++;
        }
        return n / 2;
}

static void replay_file(const char *path)
{
        size_t length = strlen(path), size, i;
        FILE *file = fopen(path, "rb");
        uint8_t *data;

        if (!file) {
                fprintf(stderr, "cannot open %s\n", path);
                exit(EXIT_FAILURE);
        }
        data = fuzz_alloc(INPUT_MAX);
        size = fread(data, 1, INPUT_MAX, file);
        fclose(file);
        if (length > 4 && !strcmp(path + length - 4, ".hex"))
                size = unhex(data, size);
        run(data, size);
        if (size <= VARIED_MAX) {
                for (i = 0; i < size; i++)
                        run(data, i);
                run_mutations(data, size);
        }
        free(data);
        printf("ok %u - %s\n", ++n_inputs, path);
        fflush(stdout);
}

static void replay(const char *path)
{
        DIR *directory = opendir(path);
        struct dirent *entry;
        char inner[4096];

        if (!directory) {
                replay_file(path);
                return;
        }
        while ((entry = readdir(directory))) {
                const char *suffix = strrchr(entry->d_name, '.');

                /* Beside the vectors lie their index and tests. */
                if (entry->d_name[0] == '.' || (suffix && strcmp(suffix, ".hex")))
                        continue;
                snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
                replay(inner);
        }
        closedir(directory);
}

int main(int argc, char **argv)
{
        int i;

        run((const uint8_t *)"", 0);
        for (i = 1; i < argc; i++)
                replay(argv[i]);
        printf("1..%u\n", n_inputs);
        return n_inputs ? EXIT_SUCCESS : EXIT_FAILURE;
}
