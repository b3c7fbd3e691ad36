/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doing one thing inside the root network namespace, the one of process 1, and coming back.
 */
#ifndef SOCKWARDEN_COMMON_NETNS_H
#define SOCKWARDEN_COMMON_NETNS_H

/* The way back failed: the process is in the wrong namespace and must not go on. */
#define NETNS_LOST 1

/*
 * Runs action(context) inside the namespace of /proc/1/ns/net and returns to the one before.
 * Returns what the action returned, -errno when the namespace could not be entered (then the action
 * did not run), or NETNS_LOST.
 */
int netns_run_in_root(int (*action)(void *context), void *context);

#endif
