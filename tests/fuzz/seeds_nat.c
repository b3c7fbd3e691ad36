/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the seeds of fuzz_nat into the folder that is its only argument: what the kernel sends, in
 * this machine's byte order.
 */
#include "tests/fuzz/seed_file.h"
#include "tests/unit/example_nat.h"

#include <stdio.h>

static int write_seed(const char *folder, const char *name, struct example_message *messages,
		      size_t count)
{
	FILE *file = seed_open(folder, name);
	bool written = true;

	if (!file)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const uint8_t head[] = {(uint8_t)(messages[i].length >> 8),
					(uint8_t)messages[i].length, (uint8_t)i, 50};

		written &= fwrite(head, sizeof(head), 1, file) == 1 &&
			   fwrite(messages[i].bytes, messages[i].length, 1, file) == 1;
	}
	return fclose(file) == 0 && written ? 0 : -1;
}

/* One datagram for each kind of event. */
static void make_life(struct example_message messages[3], struct nat_event event)
{
	static const uint8_t kinds[] = {NAT_EVENT_NEW, NAT_EVENT_UPDATE, NAT_EVENT_DESTROY};

	for (unsigned i = 0; i < 3; i++) {
		event.kind = kinds[i];
		messages[i].length = 0;
		example_nat_message(&messages[i], &event);
	}
}

int main(int argc, char **argv)
{
	static struct example_message messages[3];
	const struct nlmsghdr done = {.nlmsg_len = sizeof(done), .nlmsg_type = NLMSG_DONE};
	struct nat_event event = example_nat_event(1);
	int result = 0;

	if (argc != 2)
		return 2;
	make_life(messages, event);
	result |= write_seed(argv[1], "life", messages, 3);
	event.zone = 5;
	make_life(messages, event);
	result |= write_seed(argv[1], "zone", messages, 3);
	event = example_nat_event_ipv6(2);
	event.zone = 7;
	make_life(messages, event);
	result |= write_seed(argv[1], "ipv6", messages, 3);
	messages[0].length = 0;
	for (uint16_t i = 0; i < 20; i++) {
		event = example_nat_event(i);
		event.kind = NAT_EVENT_UPDATE;
		example_nat_message(&messages[0], &event);
	}
	example_put(&messages[0], &done, sizeof(done));
	return result | write_seed(argv[1], "dump", messages, 1) ? 1 : 0;
}
