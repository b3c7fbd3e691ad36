/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs' exit codes mean, the same for all of them (sysexits(3) has other meanings).
 */
#ifndef SOCKWARDEN_COMMON_EXIT_CODE_H
#define SOCKWARDEN_COMMON_EXIT_CODE_H

enum exit_code {
	EXIT_CODE_OK = 0,
	EXIT_CODE_FAILURE = 1,
	EXIT_CODE_USAGE = 2,
	EXIT_CODE_CONFIG = 3,
	EXIT_CODE_UNSUPPORTED = 4, /* kernel or feature */
	EXIT_CODE_PRIVILEGE = 5,
	EXIT_CODE_UNREACHABLE = 6, /* a daemon */
	EXIT_CODE_LOSS = 7,	   /* the loss budget is exceeded */
	EXIT_CODE_RELOAD = 8,	   /* the worker after SIGHUP: whoever started it starts it again */
};

#endif
