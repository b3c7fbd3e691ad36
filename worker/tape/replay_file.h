/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockwarden-worker --replay FILE: a recording to standard output, one message a line, by a process
 * that is confined as a worker is: whoever made the file can do no more with it than write text.
 */
#ifndef SOCKWARDEN_WORKER_TAPE_REPLAY_FILE_H
#define SOCKWARDEN_WORKER_TAPE_REPLAY_FILE_H

/*
 * Opens file as whoever started this process, then becomes user where that was root. Returns the
 * code to exit with (common/exit_code.h): 0 all was replayed, 1 the file is malformed (logged, with
 * the place) or cannot be read, or output cannot be written. Exit by _exit(2): the confinement forbids
 * what exit(3) may do.
 */
int replay_file(const char *file, const char *user);

#endif
