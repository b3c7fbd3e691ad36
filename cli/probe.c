/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe: what this kernel offers, and the hook that each feature will use, with the privilege that
 * it needs. Works without the daemons. What a hook is chosen by is the same that privd goes by.
 */
#include "cli/message.h"
#include "cli/probe_facts.h"
#include "cli/usage.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <string.h>

#define NEEDS_TRACING "CAP_BPF, CAP_PERFMON"
#define LABEL_COLUMNS 28

struct probe_options {
	struct usage_common common;
	bool json;
};

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, .offset = offsetof(struct probe_options, json),
	 .help = "one line of JSON"},
	USAGE_HELP,
	OPTIONS_END,
};

/* How facts are named, in the order in which they are told. */
static const struct {
	const char *key;
	const char *label;
	size_t offset;
} rows[] = {
	{"btf", "kernel types (BTF)", offsetof(struct probe_facts, btf)},
	{"cookies", "socket cookies", offsetof(struct probe_facts, cookies)},
	{"tracepoint", "tracepoints (tp_btf)", offsetof(struct probe_facts, tracepoint)},
	{"trampoline", "trampolines (fexit)", offsetof(struct probe_facts, trampoline)},
	{"kprobe", "kprobes", offsetof(struct probe_facts, kprobe)},
	{"iterators", "iterators", offsetof(struct probe_facts, iterators)},
	{"seccomp", "seccomp", offsetof(struct probe_facts, seccomp)},
	{"landlock", "Landlock", offsetof(struct probe_facts, landlock)},
	{"cgroup", "control groups", offsetof(struct probe_facts, cgroup)},
	{"perf_event_paranoid", "perf_event_paranoid", offsetof(struct probe_facts, paranoid)},
	{"unprivileged_bpf_disabled", "unprivileged_bpf_disabled",
	 offsetof(struct probe_facts, bpf_users)},
	{"conntrack", "connection tracking", offsetof(struct probe_facts, conntrack)},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* A feature and the hook that it will use. */
struct choice {
	const char *feature;
	const char *hook; /* NULL: cannot be had */
	const char *needs;
	bool certain; /* tried, or read from the kernel's types */
};

static const struct probe_fact *fact_of(const struct probe_facts *facts, size_t row)
{
	return (const struct probe_fact *)(const void *)((const char *)facts + rows[row].offset);
}

/* The accept hook as privd would find it; with the types only, the best that they promise. */
static struct choice choose_accept(const struct probe_facts *facts)
{
	struct choice choice = {"accept", accept_hook_names[ACCEPT_NONE], "nothing", true};

	if (facts->trampoline.verdict == PROBE_UNKNOWN && facts->features.accept_args)
		return (struct choice){"accept", accept_hook_names[ACCEPT_FEXIT], NEEDS_TRACING,
				       false};
	if (facts->trampoline.verdict == PROBE_YES && facts->features.accept_args)
		choice.hook = accept_hook_names[ACCEPT_FEXIT];
	else if (facts->kprobe.verdict == PROBE_YES)
		choice.hook = accept_hook_names[ACCEPT_KPROBE];
	else
		return choice;
	choice.needs = NEEDS_TRACING;
	return choice;
}

static bool is_offered(const struct probe_facts *facts, enum udp_hook hook)
{
	if (hook == UDP_FENTRY)
		return facts->trampoline.verdict != PROBE_NO;
	if (hook == UDP_KPROBE)
		return facts->kprobe.verdict == PROBE_YES;
	return facts->features.cgroup2 != NULL;
}

/* The same for UDP, in the order in which privd tries. */
static struct choice choose_udp(const struct probe_facts *facts)
{
	const enum udp_hook *next = facts->features.udp_order;
	enum udp_hook hook;

	while (*next != UDP_NONE && !is_offered(facts, *next))
		next++;
	hook = *next;
	return (struct choice){"udp", udp_hook_names[hook],
			       hook == UDP_NONE	    ? "nothing"
			       : hook == UDP_CGROUP ? NEEDS_TRACING ", CAP_NET_ADMIN"
						    : NEEDS_TRACING,
			       facts->trampoline.verdict != PROBE_UNKNOWN};
}

static struct choice with_tracing(const char *feature, const struct probe_fact *fact,
				  const char *hook)
{
	return (struct choice){feature, fact->verdict == PROBE_NO ? NULL : hook, NEEDS_TRACING,
			       fact->verdict != PROBE_UNKNOWN};
}

#define CHOICES 7

static void choose(const struct probe_facts *facts, struct choice choices[CHOICES])
{
	const char *store = NULL;

	if (!facts->btf_error)
		store = facts_store_names[facts->features.cookies ? FACTS_TABLE : FACTS_OLD];
	choices[0] = with_tracing("connections", &facts->tracepoint, "tp_btf/inet_sock_set_state");
	choices[1] = (struct choice){"facts", store, NEEDS_TRACING, true};
	choices[2] = choose_accept(facts);
	choices[3] = with_tracing("snapshots", &facts->iterators,
				  facts->map_iterators ? "iter/bpf_map_elem" : "iter/task");
	choices[4] = (struct choice){"worker_filter",
				     facts->seccomp.verdict == PROBE_YES ? "seccomp" : NULL,
				     "nothing", true};
	choices[5] = (struct choice){"worker_files",
				     facts->landlock.verdict == PROBE_YES ? "landlock" : "none",
				     "nothing", true};
	choices[6] = choose_udp(facts);
}

static enum exit_code judge(const struct probe_facts *facts, const struct choice choices[CHOICES])
{
	if (facts->btf_error) {
		message("sockwarden cannot run on kernel %s: %s", facts->release, facts->btf.value);
		return EXIT_UNSUPPORTED;
	}
	for (size_t i = 0; i < CHOICES; i++) {
		if (choices[i].hook)
			continue;
		message("sockwarden cannot run on kernel %s: no hook for %s", facts->release,
			choices[i].feature);
		return EXIT_UNSUPPORTED;
	}
	if (!facts->privileged) {
		message("what needs CAP_BPF was not tried: run 'sudo sockwarden probe' to be sure");
		return EXIT_PRIVILEGE;
	}
	return EXIT_OK;
}

static const char *verdict_word(enum probe_verdict verdict)
{
	return verdict == PROBE_YES ? "yes" : verdict == PROBE_NO ? "no" : "?";
}

static void print_people(const struct probe_facts *facts, const struct choice choices[CHOICES])
{
	printf("%-*s     %s\n", LABEL_COLUMNS, "kernel", facts->release);
	for (size_t i = 0; i < ROWS; i++) {
		const struct probe_fact *fact = fact_of(facts, i);

		printf("%-*s%-3s  %s\n", LABEL_COLUMNS, rows[i].label, verdict_word(fact->verdict),
		       fact->value);
	}
	printf("\n%-*s%-29s %s\n", LABEL_COLUMNS - 12, "FEATURE", "HOOK", "PRIVILEGE");
	for (size_t i = 0; i < CHOICES; i++)
		printf("%-*s%-29s %s%s\n", LABEL_COLUMNS - 12, choices[i].feature,
		       choices[i].hook ? choices[i].hook : "cannot be had", choices[i].needs,
		       choices[i].certain ? "" : " (not tried)");
}

/* Returns the exit code for what was not printed: 0, or -ENOMEM. */
static int print_json(const struct probe_facts *facts, const struct choice choices[CHOICES])
{
	cJSON *root = cJSON_CreateObject();
	cJSON *offers = NULL;
	cJSON *hooks = NULL;
	char *text;

	cJSON_AddStringToObject(root, "kernel", facts->release);
	cJSON_AddBoolToObject(root, "privileged", facts->privileged);
	offers = cJSON_AddObjectToObject(root, "offers");
	for (size_t i = 0; i < ROWS; i++) {
		const struct probe_fact *fact = fact_of(facts, i);
		cJSON *offer = cJSON_AddObjectToObject(offers, rows[i].key);

		if (fact->verdict == PROBE_UNKNOWN)
			cJSON_AddNullToObject(offer, "available");
		else
			cJSON_AddBoolToObject(offer, "available", fact->verdict == PROBE_YES);
		cJSON_AddStringToObject(offer, "detail", fact->value);
	}
	hooks = cJSON_AddObjectToObject(root, "hooks");
	for (size_t i = 0; i < CHOICES; i++) {
		cJSON *hook = cJSON_AddObjectToObject(hooks, choices[i].feature);

		if (choices[i].hook)
			cJSON_AddStringToObject(hook, "hook", choices[i].hook);
		else
			cJSON_AddNullToObject(hook, "hook");
		cJSON_AddStringToObject(hook, "needs", choices[i].needs);
		cJSON_AddBoolToObject(hook, "tried", choices[i].certain);
	}
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	if (!text)
		return -ENOMEM;
	puts(text);
	cJSON_free(text);
	return 0;
}

static enum exit_code probe_run(const struct invocation *call)
{
	struct probe_options asked = {.json = false};
	struct choice choices[CHOICES];
	struct probe_facts facts;
	enum exit_code code;

	if (!usage_parse(&verb_probe, call, &asked, &code))
		return code;
	probe_facts_gather(&facts);
	choose(&facts, choices);
	if (!asked.json) {
		print_people(&facts, choices);
	} else if (print_json(&facts, choices) != 0) {
		message("out of memory");
		return EXIT_FAILED;
	}
	return judge(&facts, choices);
}

const struct verb verb_probe = {
	.name = "probe",
	.operands = "",
	.summary = "what this kernel offers, and which hook each feature will use",
	.details = "Works without the daemons. As root, hooks are tried for a moment.\n",
	.options = options,
	.run = probe_run,
};
