/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_screen.h"

#include "cli/message.h"
#include "cli/text.h"

#include <curses.h>

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Lines that are not rows: two of header, the titles, the key line. */
#define LINES_ABOVE 3
#define LINES_BELOW 1
/* What the narrowest picture takes, and what each addition costs with its gap. */
#define COLUMNS_MIN 80
#define COLUMNS_REMOTE 21
#define COLUMNS_LOCAL 21
#define COLUMNS_PORT 6
#define COLUMNS_ENDPOINT 47 /* [IPv6]:port */
#define COLUMNS_COMM 10
#define COLUMNS_HOST 16

static SCREEN *screen;

/* Widths that depend on the terminal's. */
struct layout {
	int comm;
	int local; /* COLUMNS_PORT: the port only */
	int remote;
	bool age;
	bool retransmits;
};

enum exit_code top_screen_open(void)
{
	const char *const terminal = getenv("TERM");

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		message("top needs a terminal: use 'sockwarden watch' or 'sockwarden conns' in a pipe");
		return EXIT_USAGE;
	}
	screen = newterm(NULL, stdout, stdin);
	if (!screen) {
		message("top cannot use a terminal of type '%s': set TERM, for example to xterm",
			terminal ? terminal : "");
		return EXIT_FAILED;
	}
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(100);
	curs_set(0);
	if (output_has_colour() && has_colors()) {
		start_color();
		use_default_colors();
		init_pair(1, COLOR_RED, -1);
	}
	return EXIT_OK;
}

void top_screen_close(void)
{
	if (!screen)
		return;
	endwin();
	delscreen(screen);
	screen = NULL;
}

void top_screen_resize(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
		resizeterm(size.ws_row, size.ws_col);
	clearok(stdscr, TRUE);
}

void top_screen_restore(void)
{
	clearok(stdscr, TRUE);
	refresh();
}

static struct layout lay_out(void)
{
	struct layout layout = {
		.comm = COLUMNS_COMM, .local = COLUMNS_PORT, .remote = COLUMNS_REMOTE};
	int spare = COLS - COLUMNS_MIN;
	int more;

	layout.age = spare >= 7;
	spare -= layout.age ? 7 : 0;
	layout.retransmits = spare >= 6;
	spare -= layout.retransmits ? 6 : 0;
	if (spare >= COLUMNS_LOCAL - COLUMNS_PORT) {
		layout.local = COLUMNS_LOCAL;
		spare -= COLUMNS_LOCAL - COLUMNS_PORT;
	}
	if (spare <= 0)
		return layout;
	more = spare < COLUMNS_ENDPOINT - COLUMNS_REMOTE ? spare
							 : COLUMNS_ENDPOINT - COLUMNS_REMOTE;
	layout.remote += more;
	spare -= more;
	if (layout.local == COLUMNS_LOCAL) {
		more = spare < COLUMNS_ENDPOINT - COLUMNS_LOCAL ? spare
								: COLUMNS_ENDPOINT - COLUMNS_LOCAL;
		layout.local += more;
		spare -= more;
	}
	layout.comm += spare < 6 ? spare : 6;
	return layout;
}

/* Adds a text of exactly width columns and a gap; what is too long is cut. */
static void put_left(const char *text, int width)
{
	const size_t length = text_fit(text, (size_t)width);
	char shown[256];

	snprintf(shown, sizeof(shown), "%.*s", (int)length, text);
	addstr(shown);
	printw("%*s", width - (int)text_columns(shown) + 1, "");
}

/* The same for an endpoint: what is cut out is in its middle, so that the port stays. */
static void put_endpoint(const char *text, int width)
{
	const int length = (int)strlen(text);
	const char *const port = strrchr(text, ':');
	const int tail = port ? (int)strlen(port) : 0;
	char shown[128];

	if (length <= width || (int)text_columns(text) <= width || tail + 2 > width) {
		put_left(text, width);
		return;
	}
	snprintf(shown, sizeof(shown), "%.*s~%s", (int)text_fit(text, (size_t)(width - tail - 1)),
		 text, port);
	put_left(shown, width);
}

static void put_right(const char *text, int width)
{
	printw("%*.*s ", width, width, text);
}

static void put_bytes(uint64_t bytes)
{
	char text[TEXT_SHORT_BYTES];

	text_bytes(text, bytes);
	put_right(text, 6);
}

static void draw_titles(const struct layout *layout)
{
	attron(A_REVERSE);
	move(2, 0);
	put_right("PID", 7);
	put_left("COMM", layout->comm);
	put_left(layout->local == COLUMNS_PORT ? "LPORT" : "LOCAL", layout->local);
	put_left("", 2);
	put_left("REMOTE", layout->remote);
	put_right("SENT/s", 6);
	put_right("RECV/s", 6);
	put_right("TOTAL", 6);
	if (layout->retransmits)
		put_right("RETR", 5);
	if (layout->age)
		put_right("AGE", 6);
	put_left("RTT/END", COLS > getcurx(stdscr) ? COLS - getcurx(stdscr) - 1 : 7);
	attroff(A_REVERSE);
}

static void draw_row(const struct layout *layout, const struct top_row *row, bool addresses,
		     int line)
{
	char text[TEXT_SHORT_BYTES] = "-";

	move(line, 0);
	if (row->closed_ns)
		attron(A_DIM);
	if (row->pid)
		snprintf(text, sizeof(text), "%u", row->pid);
	put_right(text, 7);
	put_left(row->comm, layout->comm);
	if (layout->local == COLUMNS_PORT) {
		snprintf(text, sizeof(text), "%u", row->local_port);
		put_left(row->local_port ? text : "-", layout->local);
	} else {
		put_endpoint(row->local, layout->local);
	}
	put_left(row->arrow, 2);
	put_endpoint(addresses ? row->remote : row->named, layout->remote);
	put_bytes(row->sent_rate);
	put_bytes(row->recv_rate);
	put_bytes(row->sent_bytes + row->recv_bytes);
	if (layout->retransmits) {
		text_count(text, row->retransmits);
		put_right(text, 5);
	}
	if (layout->age) {
		text_duration(text, row->age_ns);
		put_right(row->age_ns ? text : "-", 6);
	}
	text_duration(text, row->rtt_us > UINT32_MAX ? UINT64_MAX : row->rtt_us * 1000);
	addnstr(row->closed_ns ? row->end
		: row->rtt_us  ? text
			       : "-",
		COLS > getcurx(stdscr) ? COLS - getcurx(stdscr) : 0);
	attroff(A_DIM);
}

static void draw_header(const struct top_header *header, const struct top_model *model,
			const struct top_ui *ui, size_t count)
{
	const bool well = header->answers && strcmp(header->health, "good") == 0 && !header->lost;
	char opened[TEXT_SHORT_BYTES];
	char bytes[TEXT_SHORT_BYTES];

	text_count(opened, header->opened_per_s);
	text_bytes(bytes, model->bytes_per_s);
	move(0, 0);
	attron(A_BOLD);
	addstr("sockwarden ");
	printw("%.*s  ", (int)text_fit(header->host, COLUMNS_HOST), header->host);
	attroff(A_BOLD);
	if (header->has_status)
		printw("live %llu  %s conn/s  %s/s  ", (unsigned long long)header->live, opened,
		       bytes);
	if (!well && header->has_status)
		attron(A_BOLD | COLOR_PAIR(1));
	if (!header->answers)
		addstr(header->has_status ? "NO ANSWER" : "waiting for the worker");
	else
		printw("health %s  lost %llu", header->health, (unsigned long long)header->lost);
	attrset(A_NORMAL);
	clrtoeol();
	move(1, 0);
	printw("%s%llu rows by %s", ui->paused ? "PAUSED  " : "", (unsigned long long)count,
	       top_sort_name(ui->sort));
	if (ui->scroll)
		printw(", from %llu", (unsigned long long)ui->scroll + 1);
	if (ui->filter[0])
		printw(", with '%s'", ui->filter);
	if (model->not_shown)
		printw(", %llu more not shown", (unsigned long long)model->not_shown);
	clrtoeol();
}

static void draw_help(void)
{
	static const char *const lines[] = {
		"q        quit",
		"s        next order: rate, total bytes, rtt, newest, pid, remote",
		"/        show only rows with this text (address, port, pid, name); empty: all",
		"n        names or addresses of remote ends",
		"p        pause, go on",
		"arrows   scroll by a row; PgUp and PgDn by a page; Home to the top",
		"h or ?   this help; any key leaves it",
		"",
		"-> outgoing, <- incoming. Rates are of the last second; closed connections",
		"stay, dimmed, for a few seconds, with the reason in the last column.",
	};

	for (int i = 0; i < (int)(sizeof(lines) / sizeof(lines[0])); i++)
		mvaddnstr(LINES_ABOVE + 1 + i, 2, lines[i], COLS > 3 ? COLS - 3 : 0);
}

static void draw_bottom(const struct top_ui *ui)
{
	move(LINES - 1, 0);
	if (ui->typing)
		printw("/%s", ui->draft);
	else
		addnstr("q quit  s sort  / filter  n names  p pause  arrows PgUp PgDn scroll  h help",
			COLS - 1);
	clrtoeol();
	curs_set(ui->typing ? 1 : 0);
}

void top_screen_draw(const struct top_header *header, const struct top_model *model,
		     const struct top_shown *rows, size_t count, struct top_ui *ui)
{
	const struct layout layout = lay_out();
	const int lines = LINES - LINES_ABOVE - LINES_BELOW;

	if (ui->scroll >= count)
		ui->scroll = count ? count - 1 : 0;
	erase();
	draw_header(header, model, ui, count);
	draw_titles(&layout);
	if (ui->help) {
		draw_help();
	} else {
		for (int i = 0; i < lines && ui->scroll + (size_t)i < count; i++)
			draw_row(&layout, rows[ui->scroll + (size_t)i].row, ui->addresses,
				 LINES_ABOVE + i);
	}
	draw_bottom(ui);
	refresh();
}

static void type(struct top_ui *ui, int key)
{
	const size_t length = strlen(ui->draft);

	if (key == '\r' || key == '\n' || key == KEY_ENTER) {
		memcpy(ui->filter, ui->draft, sizeof(ui->filter));
		ui->typing = false;
		ui->scroll = 0;
	} else if (key == 27) {
		ui->typing = false;
	} else if (key == KEY_BACKSPACE || key == 127 || key == '\b') {
		if (length)
			ui->draft[length - 1] = '\0';
	} else if (key >= ' ' && key < 127 && length + 1 < sizeof(ui->draft)) {
		ui->draft[length] = (char)key;
		ui->draft[length + 1] = '\0';
	}
}

static void scroll_by(struct top_ui *ui, long rows)
{
	if (rows < 0 && ui->scroll < (size_t)-rows)
		ui->scroll = 0;
	else
		ui->scroll += (size_t)rows;
}

bool top_screen_keys(struct top_ui *ui)
{
	const long page = LINES > LINES_ABOVE + LINES_BELOW ? LINES - LINES_ABOVE - LINES_BELOW : 1;
	int key;

	while ((key = getch()) != ERR) {
		if (ui->typing) {
			type(ui, key);
			continue;
		}
		if (ui->help) {
			ui->help = false;
			if (key != 'q')
				continue;
		}
		switch (key) {
		case 'q':
			return false;
		case 's':
			ui->sort = (enum top_sort)((ui->sort + 1) % TOP_SORT_COUNT);
			ui->scroll = 0;
			break;
		case '/':
			ui->typing = true;
			memcpy(ui->draft, ui->filter, sizeof(ui->draft));
			break;
		case 'n':
			ui->addresses = !ui->addresses;
			break;
		case 'p':
			ui->paused = !ui->paused;
			break;
		case 'h':
		case '?':
			ui->help = true;
			break;
		case KEY_UP:
			scroll_by(ui, -1);
			break;
		case KEY_DOWN:
			scroll_by(ui, 1);
			break;
		case KEY_PPAGE:
			scroll_by(ui, -page);
			break;
		case KEY_NPAGE:
			scroll_by(ui, page);
			break;
		case KEY_HOME:
			ui->scroll = 0;
			break;
		default:
			break;
		}
	}
	return true;
}
