/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/watch_lines.h"

#include "cli/dns_field.h"
#include "cli/fields.h"
#include "cli/text.h"
#include "common/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool number_of(const cJSON *object, const char *key, uint64_t *number)
{
	return field_number(cJSON_GetObjectItemCaseSensitive(object, key), number);
}

/* Local time of day in ms; of the close where it is known, else of the message. */
static void time_of_day(char out[16], const cJSON *connection, uint64_t message_ns)
{
	uint64_t opened = 0;
	uint64_t duration = 0;
	uint64_t ns = message_ns;
	struct tm local = {0};
	time_t s;

	if (connection && number_of(connection, "opened_ns", &opened) &&
	    number_of(connection, "duration_ns", &duration))
		ns = opened + duration;
	s = (time_t)(ns / NS_PER_S);
	localtime_r(&s, &local);
	snprintf(out, 16, "%02u:%02u:%02u.%03u", (unsigned)local.tm_hour % 100,
		 (unsigned)local.tm_min % 100, (unsigned)local.tm_sec % 100,
		 (unsigned)(ns / NS_PER_MS % 1000));
}

/* The text of a field by its name. */
static const char *text_of(const cJSON *connection, const char *name, char *out, size_t capacity)
{
	field_text(field_find(name, strlen(name)), connection, false, out, capacity);
	return out;
}

static void begin_titles(bool bold)
{
	fputs(bold ? "\033[1m" : "", stdout);
}

static void end_titles(bool bold)
{
	puts(bold ? "\033[0m" : "");
}

#define ROW "%-12s %-6s %-21s %-2s %-21s %-20s %6s %6s %6s %6s %4s %s"

static void print_connection_titles(bool bold)
{
	begin_titles(bold);
	printf(ROW, "TIME", "STATE", "LOCAL", "", "REMOTE", "PID/COMM", "SENT", "RECV", "RTT",
	       "AGE", "RETR", "WHY");
	end_titles(bold);
}

static bool print_connection(const cJSON *connection, uint64_t message_ns, bool names)
{
	char when[16];
	char remote[FIELD_TEXT_BYTES];
	char cell[10][64];
	char process[FIELD_TEXT_BYTES];
	char comm[128];
	char why[160];

	time_of_day(when, connection, message_ns);
	snprintf(process, sizeof(process), "%s/%s", text_of(connection, "pid", cell[0], 64),
		 text_of(connection, "comm", comm, sizeof(comm)));
	field_text(field_find("remote", strlen("remote")), connection, names, remote,
		   sizeof(remote));
	text_of(connection, "close_reason", cell[1], 64);
	text_of(connection, "failure", cell[2], 64);
	if (strcmp(cell[2], "-") != 0)
		snprintf(why, sizeof(why), "%s %s", cell[1], cell[2]);
	else
		snprintf(why, sizeof(why), "%s", strcmp(cell[1], "-") == 0 ? "" : cell[1]);
	printf(ROW "\n", when, text_of(connection, "state", cell[3], 64),
	       text_of(connection, "local", cell[4], 64), field_arrow(connection), remote, process,
	       text_of(connection, "total.sent_bytes", cell[6], 64),
	       text_of(connection, "total.recv_bytes", cell[7], 64),
	       text_of(connection, "rtt_us", cell[8], 64),
	       text_of(connection, "duration_ns", cell[9], 64),
	       text_of(connection, "total.retransmits", cell[0], 64), why);
	return true;
}

#define DNS_ROW "%-12s %-15s %-15s %-5s %-30s %-5s %7s %7s %8s %6s %6s %s"

static void print_dns_titles(bool bold)
{
	begin_titles(bold);
	printf(DNS_ROW, "TIME", "CLIENT", "SERVER", "PROTO", "DOMAIN", "TYPE", "QUERIES", "ANSWERS",
	       "TIMEOUTS", "P50", "P99", "RCODES");
	end_titles(bold);
}

static bool print_dns(const cJSON *json, uint64_t message_ns, bool names)
{
	static const char *const fields[] = {"client", "server",  "protocol", "domain",
					     "type",   "queries", "answers",  "timeouts",
					     "p50",    "p99",	  "rcodes"};
	static char cell[sizeof(fields) / sizeof(fields[0])][DNS_FIELD_TEXT_BYTES];
	struct dns_row row = {.overflow = false};
	const bool is_good = dns_row_read(&row, json) == 0;
	char when[16];

	(void)names;
	for (size_t i = 0; is_good && i < sizeof(fields) / sizeof(fields[0]); i++)
		dns_field_text(dns_field_find(fields[i]), &row, cell[i]);
	dns_row_fini(&row);
	if (!is_good)
		return false;
	time_of_day(when, NULL, message_ns);
	printf(DNS_ROW "\n", when, cell[0], cell[1], cell[2], cell[3], cell[4], cell[5], cell[6],
	       cell[7], cell[8], cell[9], cell[10]);
	return true;
}

#define NAMES_ROW "%-12s %6s %-21s "

static void print_names_titles(bool bold)
{
	begin_titles(bold);
	printf(NAMES_ROW "%s", "TIME", "TTL", "ADDRESS", "NAMES");
	end_titles(bold);
}

static bool print_names(const cJSON *json, uint64_t message_ns, bool names)
{
	char ttl[TEXT_SHORT_BYTES] = "-";
	char when[16];
	char ip[64];
	uint64_t ttl_s;

	(void)names;
	if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(json, "ip")))
		return false;
	if (number_of(json, "ttl_s", &ttl_s) && ttl_s <= UINT32_MAX)
		text_duration(ttl, ttl_s * NS_PER_S);
	time_of_day(when, NULL, message_ns);
	field_string(json, "ip", ip, sizeof(ip));
	printf(NAMES_ROW, when, ttl, ip);
	field_write_names(cJSON_GetObjectItemCaseSensitive(json, "names"), stdout);
	putchar('\n');
	return true;
}

/* The counters and gauges of a meta.v1 message that are not 0. */
static bool print_meta(const cJSON *meta, uint64_t message_ns, bool names)
{
	static const char *const groups[] = {"gauges", "counters"};
	char when[16];
	char text[64];

	(void)names;
	time_of_day(when, NULL, message_ns);
	field_string(meta, "health", text, sizeof(text));
	printf("%s health=%s", when, text);
	for (size_t i = 0; i < 2; i++) {
		const cJSON *member = NULL;

		cJSON_ArrayForEach(member, cJSON_GetObjectItemCaseSensitive(meta, groups[i]))
		{
			uint64_t number = 0;

			if (!field_number(member, &number) || number == 0)
				continue;
			text_escape(text, sizeof(text), member->string, strlen(member->string));
			printf(" %s=%llu", text, (unsigned long long)number);
		}
	}
	putchar('\n');
	return true;
}

static const struct watch_lines topics[] = {
	{"conn.v1", "connections", print_connection_titles, print_connection},
	{"dns.v1", "dns", print_dns_titles, print_dns},
	{"names.v1", "names", print_names_titles, print_names},
	{"meta.v1", NULL, NULL, print_meta},
};

const struct watch_lines *watch_lines_find(const char *topic)
{
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
		if (strcmp(topics[i].topic, topic) == 0)
			return &topics[i];
	}
	return NULL;
}
