/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of DNS statistics as a worker writes them. */
#ifndef SOCKWARDEN_TESTS_EXAMPLE_DNS_ROW_H
#define SOCKWARDEN_TESTS_EXAMPLE_DNS_ROW_H

#include "cli/dns_row.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 2048

#define EXAMPLE_EMPTY \
	"{\"count\":0,\"sum\":0,\"min\":0,\"max\":0,\"zeroes\":0,\"scale\":0,\"offset\":0,\"buckets\":[]}"
/* Scale 3: bucket 61 is of 198 to 215 (2^(61/8) to 2^(62/8)), its middle 206. */
#define EXAMPLE_LATENCY                                                                              \
	"{\"count\":10,\"sum\":2050,\"min\":200,\"max\":250,\"zeroes\":0,\"scale\":3,\"offset\":61," \
	"\"buckets\":[9,1]}"
#define EXAMPLE_FAILURE_JSON                                                                           \
	"{\"count\":1,\"sum\":9000,\"min\":9000,\"max\":9000,\"zeroes\":0,\"scale\":6,\"offset\":840," \
	"\"buckets\":[1]}"
#define EXAMPLE_ROW                                                                                  \
	"{\"client\":\"10.0.0.5\",\"server\":\"10.0.0.1\",\"server_port\":53,\"protocol\":\"udp\","  \
	"\"domain\":\"www.example.org\",\"type\":\"A\",\"queries\":12,\"retries\":2,\"answers\":11," \
	"\"timeouts\":1,\"rcodes\":{\"NOERROR\":10,\"NXDOMAIN\":1},\"latency_us\":" EXAMPLE_LATENCY  \
	",\"failure_latency_us\":" EXAMPLE_FAILURE_JSON "}"
/* Failures of two codes. */
#define EXAMPLE_OTHER                                                                                  \
	"{\"client\":\"10.0.0.5\",\"server\":\"10.0.0.2\",\"server_port\":53,\"protocol\":\"tcp\","    \
	"\"domain\":\"none.example.org\",\"type\":\"AAAA\",\"queries\":5,\"retries\":0,\"answers\":5," \
	"\"timeouts\":0,\"rcodes\":{\"NXDOMAIN\":3,\"SERVFAIL\":2},\"latency_us\":" EXAMPLE_EMPTY      \
	",\"failure_latency_us\":{\"count\":5,\"sum\":500,\"min\":100,\"max\":100,\"zeroes\":0,"       \
	"\"scale\":3,\"offset\":53,\"buckets\":[5]}}"
#define EXAMPLE_OVERFLOW                                                                            \
	"{\"client\":null,\"server\":null,\"server_port\":null,\"protocol\":null,\"domain\":null,"  \
	"\"type\":null,\"queries\":100,\"retries\":0,\"answers\":0,\"timeouts\":100,\"rcodes\":{}," \
	"\"latency_us\":" EXAMPLE_EMPTY ",\"failure_latency_us\":" EXAMPLE_EMPTY "}"

/* To be dns_row_fini(). */
static inline struct dns_row example_row(const char *text)
{
	struct dns_row row = {.overflow = false};
	cJSON *json = cJSON_Parse(text);

	cr_assert_not_null(json, "%s", text);
	cr_assert_eq(dns_row_read(&row, json), 0, "%s", text);
	cJSON_Delete(json);
	return row;
}

/* A row whose answers have the latencies, of which there is one. */
static inline const char *example_row_text(char out[static TEXT_BYTES],
					   const struct histogram *latency)
{
	snprintf(out, TEXT_BYTES,
		 "{\"client\":\"10.0.0.5\",\"server\":\"10.0.0.1\",\"server_port\":53,"
		 "\"protocol\":\"udp\",\"domain\":\"a.example\",\"type\":\"A\",\"queries\":1,"
		 "\"retries\":0,\"answers\":1,\"timeouts\":0,\"rcodes\":{\"NOERROR\":1},"
		 "\"latency_us\":{\"count\":1,\"sum\":%llu,\"min\":%llu,\"max\":%llu,\"zeroes\":0,"
		 "\"scale\":%d,\"offset\":%d,\"buckets\":[1]},"
		 "\"failure_latency_us\":" EXAMPLE_EMPTY "}",
		 (unsigned long long)latency->sum, (unsigned long long)latency->min,
		 (unsigned long long)latency->max, latency->scale, latency->offset);
	return out;
}

#endif
