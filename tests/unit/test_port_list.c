/* SPDX-License-Identifier: Apache-2.0 */
#include "common/port_list.h"

#include <criterion/criterion.h>

#include <errno.h>

Test(port_list, is_numbers_with_commas_between_or_none)
{
	static const struct {
		const char *text;
		int count;
		uint16_t ports[3];
	} cases[] = {
		{"none", 0, {0}},	    {"53", 1, {53}},
		{"53,5353", 2, {53, 5353}}, {"1,65535,53", 3, {1, 65535, 53}},
		{"", -EINVAL, {0}},	    {"0", -EINVAL, {0}},
		{"65536", -EINVAL, {0}},    {"53,", -EINVAL, {0}},
		{",53", -EINVAL, {0}},	    {"53,,54", -EINVAL, {0}},
		{"53 ", -EINVAL, {0}},	    {" 53", -EINVAL, {0}},
		{"-1", -EINVAL, {0}},	    {"+53", -EINVAL, {0}},
		{"dns", -EINVAL, {0}},	    {"none,53", -EINVAL, {0}},
		{"1,2,3,4", -EINVAL, {0}},  {"99999999999999999999", -EINVAL, {0}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t ports[3] = {0};
		const int count = port_list_parse(cases[i].text, ports, 3);

		cr_expect_eq(count, cases[i].count, "'%s': %d", cases[i].text, count);
		for (int port = 0; port < count; port++)
			cr_expect_eq(ports[port], cases[i].ports[port], "'%s'", cases[i].text);
	}
}
