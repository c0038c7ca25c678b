/* SPDX-License-Identifier: MIT */
/*
 * A program to be traced, see nipc-instrument.c: two threads sort numbers by functions that are
 * small enough for what is traced to cost more than what is done. It knows nothing of lanes.
 *
 *      NIPC_INSTRUMENT=calls.lane example-traced [NUMBERS [ROUNDS]]
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static size_t n_numbers = 1000;
static size_t n_rounds = 1;

static uint32_t next_number(uint32_t *state)
{
        *state = *state * 1664525 + 1013904223;
        return *state >> 8;
}

static void fill(uint32_t *numbers, uint32_t seed)
{
        for (size_t i = 0; i < n_numbers; i++)
                numbers[i] = next_number(&seed);
}

static void swap(uint32_t *a, uint32_t *b)
{
        const uint32_t number = *a;

        *a = *b;
        *b = number;
}

static size_t split(uint32_t *numbers, size_t n)
{
        const uint32_t pivot = numbers[(n - 1) / 2];
        size_t low = 0, high = n - 1;

        for (;; low++, high--) {
                while (numbers[low] < pivot)
                        low++;
                while (numbers[high] > pivot)
                        high--;
                if (low >= high)
                        return high + 1;
                swap(&numbers[low], &numbers[high]);
        }
}

static void sort(uint32_t *numbers, size_t n)
{
        size_t half;

        if (n < 2)
                return;
        half = split(numbers, n);
        sort(numbers, half);
        sort(numbers + half, n - half);
}

static size_t check(const uint32_t *numbers)
{
        size_t n_wrong = 0;

        for (size_t i = 1; i < n_numbers; i++)
                n_wrong += numbers[i - 1] > numbers[i];
        return n_wrong;
}

static void *work(void *userdata)
{
        uint32_t *numbers = calloc(n_numbers, sizeof(*numbers));
        size_t n_wrong = numbers ? 0 : 1;

        for (size_t i = 0; numbers && i < n_rounds; i++) {
                fill(numbers, (uint32_t)(uintptr_t)userdata + (uint32_t)i);
                sort(numbers, n_numbers);
                n_wrong += check(numbers);
        }
        free(numbers);
        return (void *)(uintptr_t)n_wrong;
}

int main(int argc, char **argv)
{
        pthread_t thread;
        void *n_wrong;
        size_t n_wrong_here;

        if (argc > 1)
                n_numbers = strtoull(argv[1], NULL, 0);
        if (argc > 2)
                n_rounds = strtoull(argv[2], NULL, 0);
        if (pthread_create(&thread, NULL, work, (void *)1))
                return 1;
        n_wrong_here = (size_t)(uintptr_t)work((void *)2);
        pthread_join(thread, &n_wrong);
        n_wrong_here += (size_t)(uintptr_t)n_wrong;
        printf("%zu wrong\n", n_wrong_here);
        return n_wrong_here != 0;
}
