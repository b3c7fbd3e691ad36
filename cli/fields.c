/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/fields.h"

#include "cli/text.h"
#include "common/options.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What a double holds exactly; larger integers come as strings. */
#define EXACT_MAX 9007199254740992.0

#define PORT_TEXT_BYTES sizeof(":65535")

static const struct field table[] = {
	{"id", "ID", FIELD_TEXT},
	{"state", "STATE", FIELD_TEXT},
	{"protocol", "PROTO", FIELD_TEXT},
	{"family", "FAMILY", FIELD_TEXT},
	{"direction", "DIR", FIELD_DIRECTION},
	{"local", "LOCAL", FIELD_ENDPOINT},
	{"local.ip", "LOCAL-IP", FIELD_TEXT},
	{"local.port", "LPORT", FIELD_NUMBER},
	{"remote", "REMOTE", FIELD_REMOTE},
	{"remote.ip", "REMOTE-IP", FIELD_TEXT},
	{"remote.port", "RPORT", FIELD_NUMBER},
	{"remote.names", "NAMES", FIELD_OTHER},
	{"pid", "PID", FIELD_NUMBER},
	{"comm", "COMM", FIELD_TEXT},
	{"uid", "UID", FIELD_NUMBER},
	{"start_ns", "STARTED", FIELD_TIME},
	{"pid_source", "PID-BY", FIELD_TEXT},
	{"netns", "NETNS", FIELD_NUMBER},
	{"cgroup", "CGROUP", FIELD_TEXT},
	{"container", "CONTAINER", FIELD_TEXT},
	{"opened_ns", "OPENED", FIELD_TIME},
	{"duration_ns", "AGE", FIELD_NS},
	{"handshake_us", "HANDSHAKE", FIELD_US},
	{"total.sent_bytes", "SENT", FIELD_BYTES},
	{"total.recv_bytes", "RECV", FIELD_BYTES},
	{"total.sent_packets", "SENT-PKT", FIELD_NUMBER},
	{"total.recv_packets", "RECV-PKT", FIELD_NUMBER},
	{"total.retransmits", "RETR", FIELD_NUMBER},
	{"delta.sent_bytes", "D-SENT", FIELD_BYTES},
	{"delta.recv_bytes", "D-RECV", FIELD_BYTES},
	{"delta.sent_packets", "D-SENT-PKT", FIELD_NUMBER},
	{"delta.recv_packets", "D-RECV-PKT", FIELD_NUMBER},
	{"delta.retransmits", "D-RETR", FIELD_NUMBER},
	{"rtt_us", "RTT", FIELD_US},
	{"rtt_var_us", "RTT-VAR", FIELD_US},
	{"failure", "FAILURE", FIELD_TEXT},
	{"close_reason", "CLOSE", FIELD_TEXT},
	{"inferred", "INFERRED", FIELD_OTHER},
	{"intra_host", "INTRA", FIELD_OTHER},
	{"nat", "NAT", FIELD_OTHER},
	{"nat.local", "NAT-LOCAL", FIELD_ENDPOINT},
	{"nat.local.ip", "NAT-LOCAL-IP", FIELD_TEXT},
	{"nat.local.port", "NAT-LPORT", FIELD_NUMBER},
	{"nat.remote", "NAT-REMOTE", FIELD_ENDPOINT},
	{"nat.remote.ip", "NAT-REMOTE-IP", FIELD_TEXT},
	{"nat.remote.port", "NAT-RPORT", FIELD_NUMBER},
	{"dns", "DNS", FIELD_OTHER},
};
#define FIELDS (sizeof(table) / sizeof(table[0]))
_Static_assert(FIELDS <= FIELDS_MAX, "a list of all fields fits");

const struct field *field_find(const char *name, size_t length)
{
	for (size_t i = 0; i < FIELDS; i++) {
		if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0)
			return &table[i];
	}
	return NULL;
}

int fields_parse(const char *list, const struct field *fields[FIELDS_MAX], const char **wrong,
		 size_t *wrong_length)
{
	int count = 0;

	for (;;) {
		const size_t length = strcspn(list, ",");

		*wrong = list;
		*wrong_length = length;
		if (count == FIELDS_MAX)
			return -1;
		fields[count] = field_find(list, length);
		if (!fields[count])
			return -1;
		count++;
		if (list[length] == '\0')
			return count;
		list += length + 1;
	}
}

const cJSON *field_value(const struct field *field, const cJSON *connection)
{
	const char *key = field->name;
	const char *dot;

	while ((dot = strchr(key, '.'))) {
		char parent[16];

		snprintf(parent, sizeof(parent), "%.*s", (int)(dot - key), key);
		connection = cJSON_GetObjectItemCaseSensitive(connection, parent);
		key = dot + 1;
	}
	return cJSON_GetObjectItemCaseSensitive(connection, key);
}

bool field_number(const cJSON *value, uint64_t *number)
{
	if (cJSON_IsString(value))
		return options_number(value->valuestring, 0, UINT64_MAX, number);
	if (!cJSON_IsNumber(value) || !(value->valuedouble >= 0) || value->valuedouble > EXACT_MAX)
		return false;
	*number = (uint64_t)value->valuedouble;
	return true;
}

bool field_is_number(const struct field *field)
{
	switch (field->kind) {
	case FIELD_NUMBER:
	case FIELD_BYTES:
	case FIELD_NS:
	case FIELD_US:
	case FIELD_TIME:
		return true;
	case FIELD_TEXT:
	case FIELD_ENDPOINT:
	case FIELD_REMOTE:
	case FIELD_DIRECTION:
	case FIELD_OTHER:
		break;
	}
	return false;
}

static size_t plain(char *out, size_t capacity, const char *text)
{
	return text_escape(out, capacity, text, strlen(text));
}

size_t field_string(const cJSON *object, const char *key, char *out, size_t capacity)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return plain(out, capacity, text ? text : "-");
}

/* ":port" of an endpoint; an unknown one is "*". */
static void port_text(const cJSON *endpoint, char out[PORT_TEXT_BYTES])
{
	uint64_t port = 0;

	if (field_number(cJSON_GetObjectItemCaseSensitive(endpoint, "port"), &port) && port > 0)
		snprintf(out, PORT_TEXT_BYTES, ":%u", (unsigned)port & 0xffff);
	else
		snprintf(out, PORT_TEXT_BYTES, ":*");
}

size_t field_endpoint(const cJSON *endpoint, char *out, size_t capacity)
{
	char ip[64];
	char port[PORT_TEXT_BYTES];
	int length;

	field_string(endpoint, "ip", ip, sizeof(ip));
	port_text(endpoint, port);
	length = snprintf(out, capacity, strchr(ip, ':') ? "[%s]%s" : "%s%s", ip, port);
	return length < 0 ? 0 : (size_t)length < capacity ? (size_t)length : capacity - 1;
}

/* Whether its last label is a number, as of every IPv4 address, or it has a colon, as IPv6's have. */
static bool is_like_address(const char *name)
{
	const char *const point = strrchr(name, '.');
	const char *const last = point ? point + 1 : name;

	return strchr(name, ':') || last[strspn(last, "0123456789")] == '\0';
}

size_t field_named_endpoint(const cJSON *endpoint, char *out, size_t capacity)
{
	const char *name = cJSON_GetStringValue(
		cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(endpoint, "names"), 0));
	char port[PORT_TEXT_BYTES];
	size_t length;

	if (!name || is_like_address(name) || capacity <= PORT_TEXT_BYTES)
		return field_endpoint(endpoint, out, capacity);
	port_text(endpoint, port);
	length = text_escape(out, capacity - strlen(port), name, strlen(name));
	memcpy(out + length, port, strlen(port) + 1);
	return length + strlen(port);
}

void field_write_names(const cJSON *names, FILE *to)
{
	const cJSON *name = NULL;
	size_t count = 0;

	cJSON_ArrayForEach(name, names)
	{
		char text[4 * FIELD_TEXT_BYTES];

		if (!cJSON_IsString(name))
			continue;
		text_escape(text, sizeof(text), name->valuestring, strlen(name->valuestring));
		fprintf(to, "%s%s", count++ ? " " : "", text);
	}
	fputs(count ? "" : "-", to);
}

const char *field_arrow(const cJSON *connection)
{
	static const struct {
		const char *direction;
		const char *arrow;
	} arrows[] = {{"outgoing", "->"}, {"incoming", "<-"}, {"local", "<>"}};
	const char *direction =
		cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(connection, "direction"));

	for (size_t i = 0; direction && i < sizeof(arrows) / sizeof(arrows[0]); i++) {
		if (strcmp(direction, arrows[i].direction) == 0)
			return arrows[i].arrow;
	}
	return "--";
}

static void time_text(char *out, size_t capacity, uint64_t ns)
{
	const time_t s = (time_t)(ns / 1000000000);
	struct tm local;

	if (!localtime_r(&s, &local) || strftime(out, capacity, "%Y-%m-%dT%H:%M:%S", &local) == 0)
		snprintf(out, capacity, "-");
}

static size_t other_text(const cJSON *value, char *out, size_t capacity)
{
	char *json;
	size_t length;

	if (cJSON_IsArray(value) && cJSON_GetArraySize(value) == 0)
		return plain(out, capacity, "-");
	json = cJSON_PrintUnformatted(value);
	length = plain(out, capacity, json ? json : "-");
	cJSON_free(json);
	return length;
}

size_t field_text(const struct field *field, const cJSON *connection, bool names, char *out,
		  size_t capacity)
{
	const cJSON *value = field_value(field, connection);
	char text[32] = "-";
	uint64_t number;

	if (!value || cJSON_IsNull(value))
		return plain(out, capacity, "-");
	if (field->kind == FIELD_REMOTE && names)
		return field_named_endpoint(value, out, capacity);
	if (field->kind == FIELD_ENDPOINT || field->kind == FIELD_REMOTE)
		return field_endpoint(value, out, capacity);
	if (field->kind == FIELD_DIRECTION)
		return plain(out, capacity, field_arrow(connection));
	if (!field_is_number(field) && cJSON_IsString(value))
		return plain(out, capacity, value->valuestring);
	if (!field_is_number(field) || !field_number(value, &number))
		return other_text(value, out, capacity);
	if (field->kind == FIELD_BYTES)
		text_bytes(text, number);
	else if (field->kind == FIELD_NS)
		text_duration(text, number);
	else if (field->kind == FIELD_US)
		text_duration(text, number > UINT64_MAX / 1000 ? UINT64_MAX : number * 1000);
	else if (field->kind == FIELD_TIME)
		time_text(text, sizeof(text), number);
	else
		snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	return plain(out, capacity, text);
}

void fields_print_names(void)
{
	int column = 0;

	for (size_t i = 0; i < FIELDS; i++) {
		const int length = (int)strlen(table[i].name) + 2;

		if (column + length > 78) {
			putchar('\n');
			column = 0;
		}
		column += printf("%s%s", column ? " " : "  ", table[i].name);
	}
	putchar('\n');
}
