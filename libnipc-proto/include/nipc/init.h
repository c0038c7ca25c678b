/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How a config, info or status struct begins its life: all zero, which means default, but for its
 * size, by which caller and library tell which fields both of them know. Every such struct has an
 * _INIT macro made of this one.
 */

/* clang-format off */
#if defined(__cplusplus) && __cplusplus < 202002L
#define NIPC_INIT(type) { sizeof(type) }
#else
#define NIPC_INIT(type) { .size = sizeof(type) }
#endif
/* clang-format on */
