/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/example_dns.h"

#include <criterion/criterion.h>

static struct example_dns message;
static struct dns_name name;
static char text[DNS_NAME_TEXT_BYTES];

/* A message in which names can begin at its byte 12. */
static void begin(void)
{
	static const uint8_t header[DNS_NAME_FIRST];

	message.length = 0;
	example_dns_put(&message, header, sizeof(header));
}

/* Reads from a copy of its exact size, so that a sanitizer sees a look beyond its end. */
static enum dns_name_fault read_at(size_t *at)
{
	uint8_t *exact = malloc(message.length);
	enum dns_name_fault fault = DNS_NAME_GOOD;
	size_t behind;

	memcpy(exact, message.bytes, message.length);
	behind = dns_name_read(exact, message.length, *at, &name, &fault);
	cr_assert_eq(behind == 0, fault != DNS_NAME_GOOD);
	if (behind > 0)
		*at = behind;
	free(exact);
	return fault;
}

static void expect_text(size_t at, const char *expected, size_t behind)
{
	cr_assert_eq(read_at(&at), DNS_NAME_GOOD, "%s", expected);
	cr_expect_eq(at, behind, "%s", expected);
	cr_expect_eq(dns_name_text(&name, text), strlen(expected), "%s", expected);
	cr_expect_str_eq(text, expected);
}

static void put_labels(unsigned count, unsigned length)
{
	for (unsigned i = 0; i < count; i++) {
		example_dns_u8(&message, length);
		for (unsigned byte = 0; byte < length; byte++)
			example_dns_u8(&message, 'a' + i % 26);
	}
}

Test(dns_name, is_read_in_lower_case_with_and_without_pointers)
{
	size_t plain, suffix, twice, whole, root;

	begin();
	plain = message.length;
	example_dns_name(&message, "WWW.Example.ORG");
	suffix = message.length;
	example_dns_labels(&message, "A-Z.09");
	example_dns_pointer(&message, plain + 4);
	twice = message.length;
	example_dns_labels(&message, "x");
	example_dns_pointer(&message, suffix);
	whole = message.length;
	example_dns_pointer(&message, twice);
	root = message.length;
	example_dns_name(&message, "");

	expect_text(plain, "www.example.org", suffix);
	expect_text(suffix, "a-z.09.example.org", twice);
	expect_text(twice, "x.a-z.09.example.org", whole);
	expect_text(whole, "x.a-z.09.example.org", root);
	cr_expect_eq(name.length, 1 + strlen("x.a-z.09.example.org") + 1);
	expect_text(root, ".", message.length);
	cr_expect_eq(name.length, 1);
	cr_expect_eq(name.wire[0], 0);
}

Test(dns_name, only_the_letters_a_to_z_change_at_every_length_and_place)
{
	for (unsigned length = 1; length <= 63; length++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			const uint8_t lower =
				(uint8_t)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
			size_t at = DNS_NAME_FIRST;

			begin();
			example_dns_u8(&message, length);
			for (unsigned i = 0; i < length; i++)
				example_dns_u8(&message, byte + i % 2);
			example_dns_u8(&message, 0);
			cr_assert_eq(read_at(&at), DNS_NAME_GOOD);
			cr_assert_eq(name.length, length + 2);
			cr_assert_eq(name.wire[0], length);
			for (unsigned i = 1; i <= length; i += 2)
				cr_assert_eq(name.wire[i], lower, "%u of %u", byte, length);
			cr_assert_eq(name.wire[length + 1], 0);
		}
	}
}

Test(dns_name, names_are_the_same_whatever_their_case_and_only_then)
{
	static const struct {
		const char *left;
		const char *right;
		bool same;
	} cases[] = {
		{"example.org", "EXAMPLE.oRg", true},
		{"", "", true},
		{"example.org", "example.com", false},
		{"example.org", "www.example.org", false},
		{"ab.c", "a.bc", false},
		{"[", "{", false},
		{"@", "`", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dns_name left;
		size_t at = DNS_NAME_FIRST;

		begin();
		example_dns_name(&message, cases[i].left);
		example_dns_name(&message, cases[i].right);
		cr_assert_eq(read_at(&at), DNS_NAME_GOOD);
		left = name;
		cr_assert_eq(read_at(&at), DNS_NAME_GOOD);
		cr_expect_eq(dns_name_equals(&left, &name), cases[i].same, "%zu", i);
	}
}

Test(dns_name, text_escapes_what_is_not_printable_or_would_divide)
{
	static const struct {
		const char *label;
		size_t length;
		const char *text;
	} cases[] = {
		{"a.b", 3, "a\\.b"},
		{"a\\b", 3, "a\\\\b"},
		{"a b", 3, "a\\032b"},
		{"\0", 1, "\\000"},
		{"\x7f\xff\n", 3, "\\127\\255\\010"},
		{"\xc3\x84", 2, "\\195\\132"},
		{"_sip-!~\"();@$", 13, "_sip-!~\"();@$"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		example_dns_u8(&message, (unsigned)cases[i].length);
		example_dns_put(&message, cases[i].label, cases[i].length);
		example_dns_u8(&message, 0);
		expect_text(DNS_NAME_FIRST, cases[i].text, message.length);
	}
}

Test(dns_name, the_longest_text_fits)
{
	begin();
	for (unsigned i = 0; i < 4; i++) {
		const unsigned length = i < 3 ? 63 : 61;

		example_dns_u8(&message, length);
		for (unsigned byte = 0; byte < length; byte++)
			example_dns_u8(&message, 0xff);
	}
	example_dns_u8(&message, 0);
	cr_assert_eq(read_at(&(size_t){DNS_NAME_FIRST}), DNS_NAME_GOOD);
	cr_expect_eq(name.length, DNS_NAME_BYTES_MAX);
	cr_expect_eq(dns_name_text(&name, text), DNS_NAME_TEXT_BYTES - 1);
	cr_expect_eq(text[DNS_NAME_TEXT_BYTES - 1], '\0');
	cr_expect_eq(text[DNS_NAME_TEXT_BYTES - 2], '5');
}

Test(dns_name, ends_at_255_bytes_with_and_without_pointers)
{
	for (unsigned last = 59; last <= 63; last++) {
		const enum dns_name_fault expected = last <= 61 ? DNS_NAME_GOOD : DNS_NAME_LONG;
		size_t at = DNS_NAME_FIRST;

		begin();
		put_labels(3, 63);
		put_labels(1, last);
		example_dns_u8(&message, 0);
		cr_expect_eq(read_at(&at), expected, "%u", last);

		begin();
		put_labels(2, 63);
		example_dns_u8(&message, 0);
		at = message.length;
		put_labels(1, 63);
		put_labels(1, last);
		example_dns_pointer(&message, DNS_NAME_FIRST);
		cr_expect_eq(read_at(&at), expected, "%u, by a pointer", last);
	}
	begin();
	put_labels(127, 1);
	example_dns_u8(&message, 0);
	cr_expect_eq(read_at(&(size_t){DNS_NAME_FIRST}), DNS_NAME_GOOD);
	begin();
	put_labels(128, 1);
	example_dns_u8(&message, 0);
	cr_expect_eq(read_at(&(size_t){DNS_NAME_FIRST}), DNS_NAME_LONG);
}

Test(dns_name, reserved_types_of_labels_are_refused)
{
	for (unsigned first = 64; first < 192; first++) {
		size_t at = DNS_NAME_FIRST;

		begin();
		example_dns_labels(&message, "www");
		example_dns_u8(&message, first);
		for (unsigned i = 0; i < 200; i++)
			example_dns_u8(&message, 0);
		cr_expect_eq(read_at(&at), DNS_NAME_LABEL, "%u", first);
		cr_expect_eq(at, DNS_NAME_FIRST, "stays where it was");
	}
}

Test(dns_name, a_pointer_leads_back_and_not_into_the_header)
{
	static const struct {
		size_t to;
		enum dns_name_fault fault;
	} cases[] = {
		{0, DNS_NAME_POINTER},	    {11, DNS_NAME_POINTER}, {12, DNS_NAME_GOOD},
		{14, DNS_NAME_GOOD},	    {15, DNS_NAME_POINTER}, {16, DNS_NAME_POINTER},
		{17, DNS_NAME_POINTER},	    {19, DNS_NAME_POINTER}, {20, DNS_NAME_POINTER},
		{0x3fff, DNS_NAME_POINTER},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t at;

		begin();
		example_dns_name(&message, "a");
		at = message.length;
		cr_assert_eq(at, 15);
		example_dns_labels(&message, "b");
		example_dns_pointer(&message, cases[i].to);
		example_dns_name(&message, "c");
		cr_expect_eq(read_at(&at), cases[i].fault, "to %zu", cases[i].to);
	}
}

Test(dns_name, pointers_never_go_forward_again)
{
	size_t first, second;

	/* Two that point to each other: the second leads back, and then forward. */
	begin();
	first = message.length;
	example_dns_pointer(&message, 14);
	second = message.length;
	example_dns_pointer(&message, first);
	cr_expect_eq(read_at(&second), DNS_NAME_POINTER);
	cr_expect_eq(read_at(&(size_t){DNS_NAME_FIRST}), DNS_NAME_POINTER);
}

Test(dns_name, what_a_pointer_leads_to_has_ended_before)
{
	/* A label at 12 that is so long, of which two bytes stand before the name that leads to it. */
	for (unsigned length = 1; length <= 8; length++) {
		size_t at;

		begin();
		example_dns_u8(&message, length);
		example_dns_u8(&message, 'a');
		example_dns_u8(&message, length == 1 ? 0 : 'b');
		at = message.length;
		example_dns_labels(&message, "c");
		example_dns_pointer(&message, DNS_NAME_FIRST);
		for (unsigned i = 0; i < 8; i++)
			example_dns_u8(&message, 0);
		cr_expect_eq(read_at(&at), length == 1 ? DNS_NAME_GOOD : DNS_NAME_POINTER, "%u",
			     length);
	}
	/* Half a pointer before it. */
	begin();
	example_dns_u8(&message, 0xc0);
	example_dns_pointer(&message, DNS_NAME_FIRST);
	cr_expect_eq(read_at(&(size_t){DNS_NAME_FIRST + 1}), DNS_NAME_POINTER);
}

/* Pointers to pointers, so many. */
static enum dns_name_fault read_chain(unsigned pointers)
{
	size_t at = DNS_NAME_FIRST;

	begin();
	example_dns_name(&message, "");
	for (unsigned i = 0; i < pointers; i++) {
		const size_t before = at;

		at = message.length;
		example_dns_pointer(&message, before);
	}
	return read_at(&at);
}

Test(dns_name, pointers_are_counted)
{
	cr_expect_eq(read_chain(1), DNS_NAME_GOOD);
	cr_expect_eq(read_chain(DNS_NAME_POINTERS_MAX), DNS_NAME_GOOD);
	cr_expect_eq(read_chain(DNS_NAME_POINTERS_MAX + 1), DNS_NAME_POINTER);
}

Test(dns_name, is_cut_wherever_the_message_ends)
{
	size_t begins, whole;

	begin();
	example_dns_name(&message, "example.org");
	begins = message.length;
	example_dns_labels(&message, "www.sub");
	example_dns_pointer(&message, DNS_NAME_FIRST);
	whole = message.length;
	for (message.length = begins; message.length < whole; message.length++) {
		size_t at = begins;

		cr_expect_eq(read_at(&at), DNS_NAME_CUT, "at %zu", message.length);
		cr_expect_eq(at, begins);
	}
	expect_text(begins, "www.sub.example.org", whole);
}
