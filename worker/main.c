/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker: reads what the kernel's programs recorded, knows which connections live, tells
 * subscribers. It starts in stages, each of which leaves it with less power than before:
 *
 *   1. options                   as whoever started it
 *   2. identity                  the unprivileged user, no capabilities, no way back
 *   3. configuration
 *   4. handoff                   descriptors from privd, mapped
 *   5. files                     Landlock, still one thread
 *   6. bus                       nng's threads and listeners
 *   7. tables, loop              the last memory and descriptors of our own
 *   8. lock                      seccomp on all threads; from here on nothing can be opened or started
 *   9. the loop
 */
#include "common/clock.h"
#include "common/config/keys.h"
#include "common/exit_code.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/options.h"
#include "common/signals.h"
#include "worker/confine.h"
#include "worker/facts.h"
#include "worker/handoff_client.h"
#include "worker/loop.h"
#include "worker/pipeline.h"
#include "worker/publish/bus.h"
#include "worker/seccomp_rules.h"
#include "worker/tape/replay_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PRIVD_WAIT_MS 5000
/*
 * A predecessor may not be quite dead; privd then still serves it. Or privd stands still for a while:
 * a worker that gave up soon would only be started again, until its supervisor gives up.
 */
#define REFUSED_TRIES 20
#define REFUSED_PAUSE_NS (100 * NS_PER_MS)

struct options {
	struct options_daemon daemon;
	const char *runtime_dir;
	const char *config_file; /* NULL: the default, which may be missing */
	const char *user;
	const char *replay; /* a recording, to be replayed; NULL: be a worker */
};

#define AT(field) .offset = offsetof(struct options, field)

static const struct option_spec known[] = {
	{"runtime-dir", 0, OPTION_TEXT, AT(runtime_dir), .value = "DIR",
	 .help = "sockets are here (/run/sockwarden)"},
	{"config", 0, OPTION_TEXT, AT(config_file), .value = "FILE",
	 .help = "configuration (" CONFIG_FILE_DEFAULT ", may be missing)"},
	{"user", 0, OPTION_TEXT, AT(user), .value = "NAME",
	 .help = "user to become when started by root (sockwarden)"},
	{"replay", 0, OPTION_TEXT, AT(replay), .value = "FILE",
	 .help = "print what a recording's worker published, and end"},
	OPTIONS_DAEMON,
	OPTIONS_END,
};

/* Everything that lives as long as the process. */
struct worker {
	struct options options;
	struct config config;
	struct worker_facts facts;
	struct handoff_client client;
	struct handoff_welcome welcome;
	struct handoff_grants grants;
	struct bus *bus;
	struct pipeline *pipeline;
	struct loop *loop;
	int signal_fd;
	int notify_fd;
};

/* Nobody is to believe that a key does what this version cannot do. */
static void warn_of_idle_keys(const struct config *config)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];

		if (config_key_is_idle(key, config))
			log_warning("%s.%s is set and does nothing: this version has no %s",
				    key->section, key->name, key->pending);
	}
}

static int load_config(struct worker *worker)
{
	char error[CONFIG_ERROR_BYTES];
	const char *file = worker->options.config_file;

	if (config_load(&worker->config, file ? file : CONFIG_FILE_DEFAULT, file != NULL, error,
			sizeof(error)) < 0) {
		log_error("%s", error);
		return EXIT_CODE_CONFIG;
	}
	log_init("sockwarden-worker", worker->config.log_level);
	warn_of_idle_keys(&worker->config);
	return 0;
}

/* The rings' descriptors come on top of those that the fence allows. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

_Static_assert(SECCOMP_FD_CONNTRACK == HANDOFF_FD_CONNTRACK, "the filter's rule names its number");
_Static_assert(SECCOMP_FD_PACKETS == HANDOFF_FD_PACKETS, "the same");

/* The numbers that the filter's rules name. */
static int place_notify(struct worker *worker)
{
	const int low = notify_open();

	worker->notify_fd = -1;
	if (low < 0)
		return 0;
	worker->notify_fd = fcntl(low, F_DUPFD_CLOEXEC, SECCOMP_FD_NOTIFY);
	close(low);
	if (worker->notify_fd == SECCOMP_FD_NOTIFY)
		return 0;
	log_error("descriptor %d is taken", SECCOMP_FD_NOTIFY);
	return -EBUSY;
}

/* Connects and greets, again where privd refuses or is silent. Returns 0 or the code to exit with. */
static int greet_privd(struct worker *worker)
{
	const struct timespec pause = {.tv_nsec = REFUSED_PAUSE_NS};
	struct handoff_client *client = &worker->client;
	int result = -EACCES;

	for (unsigned tries = 0; tries < REFUSED_TRIES; tries++) {
		if (result != -EACCES && result != -ETIMEDOUT)
			break;
		if (tries > 0) {
			handoff_client_close(client);
			nanosleep(&pause, NULL);
		}
		if (handoff_client_connect(client, worker->options.runtime_dir, PRIVD_WAIT_MS) < 0)
			return EXIT_CODE_UNREACHABLE;
		if (client->fd != SECCOMP_FD_PRIVD) {
			log_error("descriptor %d is taken", SECCOMP_FD_PRIVD);
			return EXIT_CODE_FAILURE;
		}
		result = handoff_client_greet(client, &worker->welcome);
	}
	if (result == -EACCES)
		log_error("privd refuses: %s", client->refusal);
	return result < 0 ? EXIT_CODE_FAILURE : 0;
}

/* Sockets are held only where the configuration has a use for them. */
static void drop_sockets(struct worker *worker)
{
	if (!worker->config.dns_enabled)
		handoff_socket_fini(&worker->grants.packet_socket);
	if (worker->config.nat_enabled || worker->grants.conntrack_fd < 0)
		return;
	close(worker->grants.conntrack_fd);
	worker->grants.conntrack_fd = -1;
}

static int connect_privd(struct worker *worker)
{
	int code;

	raise_descriptor_limit();
	code = greet_privd(worker);
	if (code != 0)
		return code;
	if (place_notify(worker) < 0)
		return EXIT_CODE_FAILURE;
	if (handoff_client_grants(&worker->client, &worker->welcome, &worker->grants) < 0)
		return EXIT_CODE_FAILURE;
	drop_sockets(worker);
	return 0;
}

/* Where translations come from, in the log and in what status shows. */
static void tell_nat(struct worker *worker)
{
	struct worker_facts *facts = &worker->facts;

	for (uint32_t i = 0; i < facts->hook_count; i++) {
		struct handoff_hook *hook = &facts->hooks[i];

		if (strcmp(hook->feature, "nat") != 0)
			continue;
		if (!worker->config.nat_enabled)
			snprintf(hook->hook, sizeof(hook->hook), "off: nat.enabled is false");
		if (worker->grants.conntrack_fd < 0)
			log_info("translated addresses are not told: %s", hook->hook);
	}
}

static int init_facts(struct worker *worker)
{
	struct worker_facts *facts = &worker->facts;

	if (identity_init(&facts->identity) < 0) {
		log_error("no random numbers for this instance's name");
		return EXIT_CODE_FAILURE;
	}
	if (facts_read_credentials(facts) < 0) {
		log_error("capget: %s", strerror(errno));
		return EXIT_CODE_FAILURE;
	}
	facts->version = SOCKWARDEN_VERSION;
	facts->health.is_good = true;
	facts->privd_alive = true;
	facts->no_new_privs = 1;
	facts->hook_count = worker->welcome.hook_count;
	memcpy(facts->kernel, worker->welcome.kernel, sizeof(facts->kernel));
	memcpy(facts->hooks, worker->welcome.hooks, sizeof(facts->hooks));
	tell_nat(worker);
	return 0;
}

/* Threads, tables and everything else that cannot be made later. */
static int open_everything(struct worker *worker)
{
	struct loop_parts parts = {
		.config = &worker->config,
		.client = &worker->client,
		.grants = &worker->grants,
		.signal_fd = worker->signal_fd,
		.notify_fd = worker->notify_fd,
		.watchdog_ns = notify_watchdog_ns(),
		.facts = &worker->facts,
	};

	if (bus_open(&worker->bus, worker->options.runtime_dir, worker->config.publish_queue) < 0)
		return EXIT_CODE_FAILURE;
	if (pipeline_new(&worker->pipeline, &worker->config, &worker->client, &worker->grants,
			 worker->bus, &worker->facts.identity) < 0)
		return EXIT_CODE_FAILURE;
	parts.bus = worker->bus;
	parts.pipeline = worker->pipeline;
	return loop_new(&worker->loop, &parts) < 0 ? EXIT_CODE_FAILURE : 0;
}

/* Stages 2 to 8. Returns 0 or the code to exit with. */
static int start(struct worker *worker)
{
	int code;

	if (confine_identity(worker->options.user) < 0)
		return EXIT_CODE_PRIVILEGE;
	code = load_config(worker);
	/* Before the first thread, for all of them. */
	worker->signal_fd = signals_open(true);
	if (code == 0 && worker->signal_fd < 0)
		code = EXIT_CODE_FAILURE;
	if (code == 0)
		code = connect_privd(worker);
	if (code == 0)
		code = init_facts(worker);
	if (code == 0 &&
	    confine_files(worker->options.runtime_dir, &worker->facts.landlock_abi) < 0)
		code = EXIT_CODE_FAILURE;
	if (code == 0)
		code = open_everything(worker);
	if (code == 0 && confine_lock() < 0)
		code = EXIT_CODE_UNSUPPORTED;
	worker->facts.seccomp = 2;
	return code;
}

static int exit_code_of(int result)
{
	if (result == LOOP_RELOAD) {
		log_info("SIGHUP: ending with code %d, to be started again with the "
			 "configuration as it is now",
			 EXIT_CODE_RELOAD);
		return EXIT_CODE_RELOAD;
	}
	return result < 0 ? EXIT_CODE_FAILURE : EXIT_CODE_OK;
}

int main(int argc, char **argv)
{
	static struct worker worker = {
		.options = {.runtime_dir = "/run/sockwarden", .user = "sockwarden"},
	};
	int code;

	log_init("sockwarden-worker", LOG_LEVEL_INFO);
	code = options_daemon(known, "Usage: sockwarden-worker [options]\n",
			      "sockwarden-worker " SOCKWARDEN_VERSION, argc, argv, &worker.options);
	if (code >= 0)
		return code;
	if (worker.options.replay)
		_exit(replay_file(worker.options.replay, worker.options.user));
	code = start(&worker);
	if (code != 0)
		return code;
	log_info("ready: kernel %s, %u rings, Landlock %u, seccomp on all threads",
		 worker.facts.kernel, worker.grants.rings.count, worker.facts.landlock_abi);
	notify_send(worker.notify_fd, "READY=1");
	code = exit_code_of(loop_run(worker.loop));
	notify_send(worker.notify_fd, "STOPPING=1");
	bus_drain(worker.bus);
	/*
	 * Not by way of bus_close() and exit(): those remove files, which the lock forbids. The next
	 * worker replaces the sockets.
	 */
	_exit(code);
}
