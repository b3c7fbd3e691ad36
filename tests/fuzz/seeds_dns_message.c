/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the seeds of fuzz_dns_message into the folder that is its only argument: messages of all
 * kinds of the benchmark's corpus, and odd ones put together by hand.
 */
#include "tests/bench/dns/corpus.h"
#include "tests/fuzz/seed_file.h"
#include "tests/unit/example_dns.h"

#include <stdbool.h>
#include <stdio.h>

#define CORPUS_SEEDS 24

static struct example_dns message;
static const char *folder;

static int write_seed(const char *name, const void *bytes, size_t length, uint8_t flags)
{
	FILE *file = seed_open(folder, name);
	bool written;

	if (!file)
		return -1;
	written = fwrite(&flags, 1, 1, file) == 1 && fwrite(bytes, length, 1, file) == 1;
	return fclose(file) == 0 && written ? 0 : -1;
}

static int write_message(const char *name)
{
	return write_seed(name, message.bytes, message.length, 0);
}

static void begin(unsigned type, unsigned answers, unsigned authority, unsigned additional)
{
	example_dns_begin(&message, 1, EXAMPLE_DNS_RESPONSE, answers, authority, additional);
	example_dns_question(&message, "WWW.example.org", type);
}

static int write_chain(void)
{
	size_t target;

	/* The address before the alias that leads to it. */
	begin(DNS_TYPE_A, 4, 1, 1);
	example_dns_name(&message, "b.example.net");
	example_dns_a(&message, 60, 1);
	example_dns_pointer(&message, EXAMPLE_DNS_QUESTION_AT);
	target = example_dns_cname(&message, 60, "B.example.NET", 0);
	example_dns_pointer(&message, target);
	example_dns_aaaa(&message, 30, 2);
	example_dns_pointer(&message, target);
	example_dns_a(&message, 90, 1);
	example_dns_soa(&message, EXAMPLE_DNS_QUESTION_AT + 4);
	example_dns_opt(&message, 0);
	return write_message("chain");
}

static int write_circle(void)
{
	size_t target;

	begin(DNS_TYPE_AAAA, 2, 0, 0);
	example_dns_pointer(&message, EXAMPLE_DNS_QUESTION_AT);
	target = example_dns_cname(&message, 60, "b", EXAMPLE_DNS_QUESTION_AT + 4);
	example_dns_pointer(&message, target);
	example_dns_cname(&message, 60, "", EXAMPLE_DNS_QUESTION_AT);
	return write_message("circle");
}

static int write_many(unsigned addresses)
{
	begin(255, addresses + 2, 0, 0);
	example_dns_pointer(&message, EXAMPLE_DNS_QUESTION_AT);
	example_dns_tail(&message, 39, 60, 13); /* DNAME */
	example_dns_name(&message, "example.net");
	example_dns_pointer(&message, EXAMPLE_DNS_QUESTION_AT);
	example_dns_aaaa(&message, 0x80000001, 9);
	for (unsigned i = 0; i < addresses; i++) {
		example_dns_pointer(&message, EXAMPLE_DNS_QUESTION_AT);
		example_dns_a(&message, i, i + 1);
	}
	return write_message(addresses < 10 ? "any" : "many");
}

/* A name of 127 pointers, and labels with every byte. */
static int write_names(void)
{
	size_t at = EXAMPLE_DNS_QUESTION_AT;

	example_dns_begin(&message, 1, EXAMPLE_DNS_RESPONSE | EXAMPLE_DNS_TC, 121, 0, 0);
	for (unsigned first = 0; first < 180; first += 60) {
		example_dns_u8(&message, 60);
		for (unsigned i = 0; i < 60; i++)
			example_dns_u8(&message, first + i);
	}
	example_dns_u8(&message, 0);
	example_dns_u16(&message, DNS_TYPE_A);
	example_dns_u16(&message, EXAMPLE_DNS_IN);
	for (unsigned i = 0; i < 120; i++) {
		const size_t before = at;

		at = message.length;
		example_dns_pointer(&message, before);
		example_dns_tail(&message, 16, 60, 0);
	}
	return write_message("names");
}

int main(int argc, char **argv)
{
	static struct corpus_message messages[CORPUS_MESSAGES];
	int result = 0;

	if (argc != 2)
		return 2;
	folder = argv[1];
	corpus_make(messages);
	for (unsigned i = 0; i < CORPUS_SEEDS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "corpus_%u", i);
		result |= write_seed(name, messages[i].bytes, messages[i].length, 0);
	}
	/* One that was cut. */
	result |= write_seed("cut", messages[8].bytes, messages[8].length - 5, 1);
	result |= write_chain();
	result |= write_circle();
	result |= write_many(5);
	result |= write_many(100);
	result |= write_names();
	return result ? 1 : 0;
}
