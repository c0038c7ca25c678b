/* SPDX-License-Identifier: MIT */
#pragma once

/* Clients that do not behave, for `nipc bench fairness`: what does the one that behaves lose? */

#include "subject.h"

/*
 * In a process of its own: makes options->trouble for the nipc server of options->run_dir, until
 * killed. Returns a negative errno when it cannot.
 */
int trouble_make(const struct subject_options *options);
