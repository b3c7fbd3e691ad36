/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/seq.h"

#include <stdio.h>
#include <string.h>

enum seq_event seq_note(struct seq *seq, const char *instance, uint64_t number, uint64_t *lost)
{
	enum seq_event event = SEQ_NEXT;

	*lost = 0;
	if (strncmp(seq->instance, instance, sizeof(seq->instance) - 1) != 0) {
		event = seq->instance[0] ? SEQ_RESTART : SEQ_FIRST;
		/* Of a worker that started while we were subscribed, all messages were for us. */
		if (event == SEQ_RESTART && number > 1)
			*lost = number - 1;
		snprintf(seq->instance, sizeof(seq->instance), "%s", instance);
	} else if (number <= seq->last) {
		return SEQ_REPEAT;
	} else if (number != seq->last + 1) {
		event = SEQ_HOLE;
		*lost = number - seq->last - 1;
	}
	seq->last = number;
	return event;
}
