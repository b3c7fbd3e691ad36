/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that were learnt and not told yet: a queue of fixed capacity. When it is full, what is learnt is
 * counted and not told; it can still be asked for.
 */
#ifndef SOCKWARDEN_WORKER_DNS_NEWS_H
#define SOCKWARDEN_WORKER_DNS_NEWS_H

#include "worker/dns/message.h"

#include <stdbool.h>
#include <stdint.h>

#define DNS_NEWS_CAPACITY 4096 /* names in a second, about 1 MiB */

struct dns_news_item {
	struct dns_address address;
	struct dns_name name;
};

struct dns_news {
	uint64_t first; /* number of the oldest; its place is that modulo the capacity */
	uint64_t next;
	uint64_t dropped;
	struct dns_news_item items[DNS_NEWS_CAPACITY];
};

static inline void dns_news_put(struct dns_news *news, const struct dns_address *address,
				const struct dns_name *name)
{
	if (news->next - news->first == DNS_NEWS_CAPACITY) {
		news->dropped++;
		return;
	}
	news->items[news->next++ % DNS_NEWS_CAPACITY] = (struct dns_news_item){*address, *name};
}

/* The oldest, good until the next one is put; NULL: there are none. */
static inline const struct dns_news_item *dns_news_take(struct dns_news *news)
{
	if (news->first == news->next)
		return NULL;
	return &news->items[news->first++ % DNS_NEWS_CAPACITY];
}

#endif
