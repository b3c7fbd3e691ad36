/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORBIDDEN_LEAST 25

static char directory[] = "/tmp/sockwarden-sandbox-XXXXXX";

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

static void remove_directory(void)
{
	nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void make_directory(void)
{
	cr_assert_not_null(mkdtemp(directory));
}

TestSuite(sandbox, .init = make_directory, .fini = remove_directory);

static int run(const char *name)
{
	int status = 0;
	const pid_t pid = fork();

	if (pid == 0) {
		execl(SANDBOX_ATTEMPT, SANDBOX_ATTEMPT, name, directory, (char *)NULL);
		_exit(127);
	}
	cr_assert_gt(pid, 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/*
 * What else than SIGSYS may end the attempt: some virtual machines have no 32-bit gate at all. Whoever
 * tries it there, confined or not, dies of SIGSEGV (a sanitizer's handler of that, of SIGSYS), and has
 * reached nothing either.
 */
static int other_end(const char *name)
{
#ifdef __x86_64__
	if (strcmp(name, "int80_getpid") == 0) {
		int status = 0;
		const pid_t pid = fork();

		if (pid == 0) {
			long result;

			signal(SIGSEGV, SIG_DFL); /* Criterion's own handler would report it */
			__asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
			_exit(0);
		}
		cr_assert_gt(pid, 0);
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		return WIFSIGNALED(status) ? WTERMSIG(status) : SIGSYS;
	}
#else
	(void)name;
#endif
	return SIGSYS;
}

/* Runs every attempt of which the list says this word; returns how many there were. */
static unsigned run_all(const char *wanted, bool deadly)
{
	FILE *list = popen(SANDBOX_ATTEMPT " --list", "r");
	char word[16], name[64];
	unsigned count = 0;

	cr_assert_not_null(list);
	while (fscanf(list, "%15s %63s", word, name) == 2) {
		int status;

		if (strcmp(word, wanted) != 0)
			continue;
		count++;
		status = run(name);
		if (deadly)
			cr_expect(WIFSIGNALED(status) && (WTERMSIG(status) == SIGSYS ||
							  WTERMSIG(status) == other_end(name)),
				  "%s: status %#x", name, (unsigned)status);
		else
			cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: status %#x",
				  name, (unsigned)status);
	}
	cr_assert_eq(pclose(list), 0);
	return count;
}

Test(sandbox, every_forbidden_call_kills_the_whole_process)
{
	cr_expect_geq(run_all("kill", true), FORBIDDEN_LEAST);
}

Test(sandbox, what_the_worker_needs_still_works)
{
	cr_expect_geq(run_all("work", false), 9);
}
