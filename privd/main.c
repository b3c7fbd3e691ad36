/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockwarden-privd: loads the BPF programs, hands their descriptors to the worker, and holds no
 * power while it does so. main() is the order of its life:
 *
 *   options -> directory and socket -> programs -> rings -> attach -> seed -> drop -> serve
 */
#include "common/cleanup.h"
#include "common/exit_code.h"
#include "common/log.h"
#include "common/netns.h"
#include "common/notify.h"
#include "common/options.h"
#include "common/port_list.h"
#include "common/runtime_dir.h"
#include "common/signals.h"
#include "common/users.h"
#include "privd/confine.h"
#include "privd/conntrack.h"
#include "privd/loader.h"
#include "privd/packets.h"
#include "privd/perf_rings.h"
#include "privd/session.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#define RING_PAGES_DEFAULT 512 /* 2 MiB: a quarter of a second at 50,000 closes/s on one CPU */

struct options {
	struct options_daemon daemon;
	const char *runtime_dir;
	const char *worker_user;
	const char *privd_user;
	const char *log_level;
	const char *dns_ports;
	bool no_nat;
	enum accept_hook accept;
	enum facts_store facts;
	enum udp_hook udp;
	enum packet_filter packet_filter;
	struct option_number ring_pages;
};

#define AT(field) .offset = offsetof(struct options, field)

static const struct option_spec known[] = {
	{"runtime-dir", 0, OPTION_TEXT, AT(runtime_dir), .value = "DIR",
	 .help = "the handoff socket's directory (/run/sockwarden)"},
	{"worker-user", 0, OPTION_TEXT, AT(worker_user), .value = "NAME",
	 .help = "the only user that may take descriptors (sockwarden)"},
	{"privd-user", 0, OPTION_TEXT, AT(privd_user), .value = "NAME",
	 .help = "what privd becomes after start (sockwarden-privd)"},
	{"ring-pages", 0, OPTION_NUMBER, AT(ring_pages), 8, 65536, "N",
	 "pages of each CPU's ring, a power of two (512)"},
	{"accept-hook", 0, OPTION_NAME, accept_hook_names, AT(accept), .value = "HOOK",
	 .help = "auto, fexit, kprobe or none (auto)"},
	{"facts", 0, OPTION_NAME, facts_store_names, AT(facts), .value = "STORE",
	 .help = "auto, table or old, as before 5.12 (auto)"},
	{"dns-ports", 0, OPTION_TEXT, AT(dns_ports), .value = "LIST",
	 .help = "ports whose packets are captured, with commas, or none (53)"},
	{"packet-filter", 0, OPTION_NAME, packet_filter_names, AT(packet_filter), .value = "KIND",
	 .help = "what captures them: auto, ebpf or classic (auto)"},
	{"no-nat", 0, OPTION_FLAG, AT(no_nat), .help = "do not listen to connection tracking"},
	{"udp-hook", 0, OPTION_NAME, udp_hook_names, AT(udp), .value = "HOOK",
	 .help = "auto, fentry, kprobe, cgroup_skb or none (auto)"},
	{"log-level", 0, OPTION_TEXT, AT(log_level), .value = "LEVEL",
	 .help = "error, warning, info or debug (info)"},
	OPTIONS_DAEMON,
	OPTIONS_END,
};

/* Returns -1 to go on, or an exit code. */
static int parse_options(struct options *options, uint16_t ports[HANDOFF_DNS_PORTS_MAX], int argc,
			 char **argv)
{
	enum log_level level = LOG_LEVEL_INFO;
	const int code = options_daemon(
		known,
		"Usage: sockwarden-privd [options]\n"
		"Loads sockwarden's BPF programs and serves their descriptors to the worker.\n\n",
		"sockwarden-privd " SOCKWARDEN_VERSION, argc, argv, options);
	const uint64_t pages = options->ring_pages.value;

	if (code >= 0)
		return code;
	if ((pages & (pages - 1)) != 0) {
		log_error("--ring-pages %" PRIu64 ": not a power of two; try --help", pages);
		return EXIT_CODE_USAGE;
	}
	if (log_level_parse(options->log_level, &level) < 0) {
		log_error("--log-level does not know '%s'; try --help", options->log_level);
		return EXIT_CODE_USAGE;
	}
	if (port_list_parse(options->dns_ports, ports, HANDOFF_DNS_PORTS_MAX) < 0) {
		log_error("--dns-ports %s: up to %d ports are meant, as in 53,5353; try --help",
			  options->dns_ports, HANDOFF_DNS_PORTS_MAX);
		return EXIT_CODE_USAGE;
	}
	log_init("sockwarden-privd", level);
	return -1;
}

/* Memory for the worker's position that outlives it: an anonymous file of fixed size. */
static int make_resume(size_t bytes)
{
	_cleanup_close_ int fd = memfd_create("sockwarden-resume", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -errno;
	return take_fd(&fd);
}

/* What is to be done in the root network namespace. */
static int work_in_root(void *context)
{
	struct session_grants *grants = context;

	if (grants->conntrack_fd != -ECANCELED)
		grants->conntrack_fd = confine_fence(conntrack_open());
	packets_capture(grants->packets);
	return loader_seed(grants->loader, "seed_orphans");
}

static int try_iterator(void *context)
{
	int fd = loader_iterate(context, HANDOFF_ITERATE_CONNECTIONS);

	return fd < 0 ? fd : close(fd);
}

static void add_hook(struct handoff_welcome *welcome, const char *feature, const char *hook)
{
	struct handoff_hook *slot = &welcome->hooks[welcome->hook_count++];

	snprintf(slot->feature, sizeof(slot->feature), "%s", feature);
	snprintf(slot->hook, sizeof(slot->hook), "%s", hook);
	log_info("%s: %s", feature, hook);
}

/* The same, or why there is none: a negative errno, of which -ECANCELED is the option's doing. */
static void add_hook_or_why(struct handoff_welcome *welcome, const char *feature, const char *hook,
			    int error, const char *option)
{
	char none[HANDOFF_HOOK_NAME_BYTES];

	snprintf(none, sizeof(none), "none: %s", error == -ECANCELED ? option : strerror(-error));
	add_hook(welcome, feature, error < 0 ? none : hook);
}

/* What this kernel gave, for the log and for the worker to tell. */
static void describe(struct session_grants *grants, bool keep_bpf)
{
	struct handoff_welcome *welcome = &grants->welcome;
	const struct loader *loader = grants->loader;
	const struct packet_capture *packets = grants->packets;
	struct utsname kernel = {0};

	uname(&kernel);
	snprintf(welcome->kernel, sizeof(welcome->kernel), "%.*s", HANDOFF_KERNEL_BYTES - 1,
		 kernel.release);
	welcome->version = HANDOFF_VERSION;
	welcome->abi = handoff_abi();
	welcome->possible_cpus = loader->possible_cpus;
	welcome->rings = grants->rings->count;
	welcome->conntracks = grants->conntrack_fd >= 0;
	welcome->packet_rings = packets->rings.count;
	welcome->packet_sockets = packets->socket_fd >= 0;
	memcpy(welcome->dns_ports, packets->ports, sizeof(welcome->dns_ports));
	add_hook(welcome, "state", "tp_btf/inet_sock_set_state");
	add_hook(welcome, "destroy", "tp_btf/tcp_destroy_sock");
	add_hook(welcome, "accept", accept_hook_names[loader->accept]);
	add_hook(welcome, "facts", facts_store_names[loader->store]);
	add_hook(welcome, "udp", udp_hook_names[loader->udp]);
	add_hook(welcome, "snapshot", loader->by_task ? "iter/task" : "iter/bpf_map_elem");
	add_hook_or_why(welcome, "nat", "conntrack netlink", grants->conntrack_fd, "--no-nat");
	add_hook_or_why(welcome, "dns",
			packets->socket_fd >= 0 ? "classic socket filter" : "socket filter",
			packets->error, "--dns-ports none");
	add_hook(welcome, "cgroup", loader->cgroup_v1 ? "v1" : "v2");
	add_hook(welcome, "capability", keep_bpf ? "CAP_BPF" : "none");
}

static int load_failure(int error)
{
	if (error == -EPERM || error == -EACCES) {
		log_error("the kernel refuses to load BPF programs: %s; start privd as root with "
			  "CAP_BPF and CAP_PERFMON, and check the kernel's lockdown",
			  strerror(-error));
		return EXIT_CODE_PRIVILEGE;
	}
	log_error("this kernel takes none of the ways to trace connections: %s; see `sockwarden "
		  "probe`, or --log-level debug for the verifier's words",
		  strerror(-error));
	return EXIT_CODE_UNSUPPORTED;
}

/* Loads, opens, attaches and seeds; returns -1, or an exit code. */
static int start_tracing(const struct options *options, struct loader *loader,
			 struct perf_rings *rings, struct packet_capture *packets,
			 struct session_grants *grants)
{
	struct features features;
	int error = features_read(&features);

	if (error) {
		log_error(
			"cannot read this kernel's BTF (/sys/kernel/btf/vmlinux): %s; a kernel with "
			"CONFIG_DEBUG_INFO_BTF is needed",
			strerror(-error));
		return EXIT_CODE_UNSUPPORTED;
	}
	error = loader_load(loader, &features, options->facts, options->accept);
	if (error)
		return load_failure(error);
	error = perf_rings_open(rings, loader->rings_fd, loader->possible_cpus,
				(unsigned)options->ring_pages.value);
	if (error) {
		log_error("cannot open the perf rings: %s; check kernel.perf_event_paranoid, "
			  "CAP_PERFMON and --ring-pages",
			  strerror(-error));
		return error == -EPERM || error == -EACCES ? EXIT_CODE_PRIVILEGE
							   : EXIT_CODE_FAILURE;
	}
	error = loader_attach(loader);
	if (error)
		return load_failure(error);
	error = loader_start_udp(loader, options->udp);
	if (error)
		log_warning("UDP is not traced: %s; --log-level debug tells more",
			    strerror(-error));
	if (loader->udp != UDP_NONE && loader_seed(loader, "seed_udp"))
		log_warning("UDP sockets that are open already stay without their process");
	packets->filter = options->packet_filter;
	packets_load(packets, loader, (unsigned)options->ring_pages.value, rings->count);
	error = loader_seed(loader, "seed_files");
	if (error)
		log_warning("connections that are open already stay without their process: %s",
			    strerror(-error));
	error = netns_run_in_root(work_in_root, grants);
	if (error == NETNS_LOST)
		return EXIT_CODE_FAILURE;
	if (error == -EACCES) {
		log_warning(
			"/proc/1/ns/net may not be opened (it takes CAP_SYS_PTRACE): taking my own "
			"network namespace for the root one");
		error = work_in_root(grants);
	}
	if (error)
		log_warning("open connections that no process holds are not listed: %s",
			    strerror(-error));
	if (packets->error && packets->error != -ECANCELED)
		log_warning("DNS is not captured: %s; --log-level debug tells more",
			    strerror(-packets->error));
	return -1;
}

int main(int argc, char **argv)
{
	static struct loader loader;
	static struct perf_rings rings;
	static struct packet_capture packets;
	static struct session_grants grants;
	struct options options = {
		.runtime_dir = "/run/sockwarden",
		.worker_user = "sockwarden",
		.privd_user = "sockwarden-privd",
		.ring_pages = {.value = RING_PAGES_DEFAULT},
		.dns_ports = "53",
		.log_level = "info",
	};
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	struct user worker, privd;
	int directory, listen_fd, signal_fd, notify_fd, code, error;
	bool keep_bpf;

	log_init("sockwarden-privd", LOG_LEVEL_INFO);
	code = parse_options(&options, packets.ports, argc, argv);
	if (code >= 0)
		return code;
	if (geteuid() != 0) {
		log_error("must be started as root; it gives that up when it has loaded");
		return EXIT_CODE_PRIVILEGE;
	}
	if (users_find(options.worker_user, options.privd_user, &worker, &privd))
		return EXIT_CODE_FAILURE;
	directory = runtime_dir_open(options.runtime_dir, worker.uid, worker.gid);
	if (directory < 0)
		return EXIT_CODE_FAILURE;
	listen_fd = runtime_dir_listen(directory, worker.uid, worker.gid);
	if (listen_fd < 0)
		return EXIT_CODE_FAILURE;
	close(directory);
	signal_fd = signals_open(false);
	notify_fd = notify_open();
	/* Before 5.11 maps count against this limit. */
	setrlimit(RLIMIT_MEMLOCK, &unlimited);

	grants.loader = &loader;
	grants.rings = &rings;
	grants.packets = &packets;
	grants.conntrack_fd = options.no_nat ? -ECANCELED : -EACCES;
	code = start_tracing(&options, &loader, &rings, &packets, &grants);
	if (code >= 0)
		return code;
	grants.page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	grants.resume_bytes = handoff_resume_bytes(loader.possible_cpus);
	grants.resume_fd = make_resume(grants.resume_bytes);
	if (grants.resume_fd < 0 || signal_fd < 0) {
		log_error("out of descriptors or memory at start");
		return EXIT_CODE_FAILURE;
	}
	keep_bpf = confine_needs_bpf_capability(try_iterator, &loader);
	describe(&grants, keep_bpf);

	malloc_trim(0); /* what libbpf needed to load; nothing is allocated from here on */
	error = confine_drop_identity(privd.uid, privd.gid, keep_bpf);
	if (!error)
		error = confine_lock();
	if (error) {
		log_error("cannot give up privileges: %s", strerror(-error));
		return EXIT_CODE_FAILURE;
	}
	log_info("ready: %u rings of %u pages, uid %u", rings.count, rings.data_pages, privd.uid);
	notify_send(notify_fd, "READY=1");
	error = session_serve(&grants, listen_fd, signal_fd, worker.uid);
	notify_send(notify_fd, "STOPPING=1");
	if (error < 0) {
		log_error("cannot wait for workers: %s", strerror(-error));
		_exit(EXIT_CODE_FAILURE);
	}
	log_info("stopped by signal %d", error);
	_exit(EXIT_CODE_OK);
}
