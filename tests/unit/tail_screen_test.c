/* The pictures of the live funnel as text, and the lines that they are made of. */
#include <criterion/criterion.h>

#include "base/buffer.h"
#include "base/timetext.h"
#include "tail_line.h"
#include "tail_model.h"
#include "tail_screen.h"
#include "tail_text.h"
#include "unit/fold_kit.h"

#define NOON_US (KIT_DAY0_US + 12 * US_PER_HOUR)

static struct tail_model model;
static struct buffer text;

static void add_total(const char *rollup, int64_t start_us, int64_t size_us, const char *group,
                      struct measures measures, bool final)
{
	struct aggregate aggregate = {.rollup = span_of(rollup),
	                              .group_value = span_of(group),
	                              .window_start_us = start_us,
	                              .window_end_us = start_us + size_us,
	                              .measures = measures,
	                              .revision = 1,
	                              .final = final};

	tail_model_aggregate(&model, &aggregate, NOON_US / 1000 - 400);
}

static struct measures sold(int64_t orders, int64_t revenue_cents)
{
	return (struct measures){.events = {orders * 9},
	                         .purchase_sessions = orders,
	                         .revenue_cents = revenue_cents,
	                         .buying_view_sessions = NOT_COUNTED,
	                         .view_purchase_sessions = NOT_COUNTED,
	                         .view_cart_purchase_sessions = NOT_COUNTED};
}

static void add_day(const char *group, struct measures measures)
{
	add_total(group, KIT_DAY0_US, US_PER_DAY, "all", measures, false);
}

static void begin(void)
{
	struct counts_record counts = {.service = SPAN("bronze-sink"),
	                               .topic = SPAN("raw"),
	                               .counts = {.records_in = 150123,
	                                          .records_out = 149000,
	                                          .duplicates = 1100}};

	tail_model_init(&model, 1);
	add_day("1d:all", (struct measures){.events = {146576, 1330, 12, 0, 1913},
	                                    .revenue_cents = 44780546,
	                                    .sessions = 44758,
	                                    .view_sessions = 44700,
	                                    .purchase_sessions = 1779,
	                                    .funnel_cart_sessions = 1322,
	                                    .funnel_purchase_sessions = 640,
	                                    .buying_view_sessions = 1770,
	                                    .view_purchase_sessions = 1768,
	                                    .view_cart_purchase_sessions = 645});
	add_total("1d:category", KIT_DAY0_US, US_PER_DAY, "electronics.smartphone",
	          sold(1200, 31000000), false);
	add_total("1d:category", KIT_DAY0_US, US_PER_DAY, "unknown", sold(79, 999950), false);
	add_total("1d:brand", KIT_DAY0_US, US_PER_DAY, "acme", sold(300, 12345678), false);
	add_total("1d:brand", KIT_DAY0_US, US_PER_DAY, "zenith", sold(3, 1234), true);
	counts.counts.dead[REASON_INVALID_PRICE] = 23;
	tail_flow_counts(&model.flow, &counts, 0);
	tail_flow_partial(&model.flow,
	                  &(struct partial){.watermark_us = NOON_US - 5 * US_PER_SECOND});
	tail_flow_sample(&model.flow, 0);
	tail_flow_sample(&model.flow, US_PER_SECOND);
}

static void end(void)
{
	tail_model_free(&model);
	buffer_free(&text);
}

static struct tail_view view_of(int width, int height)
{
	return (struct tail_view){.width = width,
	                          .height = height,
	                          .unicode = true,
	                          .now_us = NOON_US,
	                          .prefix = "shop_",
	                          .rollup = "",
	                          .group = "",
	                          .trouble = "",
	                          .read_percent = 100};
}

static const char *draw(const struct tail_view *view)
{
	tail_screen(&model, view, &text);
	buffer_append(&text, "", 1);
	return text.at;
}

TestSuite(tail_screen, .init = begin, .fini = end);

Test(tail_screen, a_usual_terminal)
{
	/* clang-format off */
	static const char want[] =
		"funnel  shop_  1d:all                                                   12:00:00\n"
		"2019-10-01 00:00 – 2019-10-02 00:00  open                      updated 0.4 s ago\n"
		"watermark 2019-10-01 11:59:55   event-time lag 5.0 s   events/s 0\n"
		"\n"
		"stage         sessions                           of view of previous       fewer\n"
		"view            44,700 ████████████████████████  100.0 %\n"
		"cart             1,322 ▋                           3.0 %       3.0 %      43,378\n"
		"purchase           640 ▎                           1.4 %      48.4 %         682\n"
		"bought without a cart 1,123   left without purchase 42,930   via cart 645\n"
		"\n"
		"purchases 1,913   orders 1,779   revenue 447,805.46   average order 251.71\n"
		"views 146,576   carts 1,330   removed 12   checkouts 0\n"
		"\n"
		"top 1d:category      orders    revenue   top 1d:brand          orders    revenue\n"
		"…ctronics.smartphone  1,200    310,000   acme                     300    123,457\n"
		"unknown                  79     10,000   zenith                     3         12\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"rows in 150,123   events 149,000   dead letters 23   duplicates 1,100   late 0\n"
		"q quit  r rollup  g group  left/right window  s sort  p pause  h help\n";
	/* clang-format on */
	struct tail_view view = view_of(80, 24);

	cr_expect_str_eq(draw(&view), want);
}

Test(tail_screen, a_narrow_and_low_terminal)
{
	/* clang-format off */
	static const char want[] =
		"funnel  shop_  1d:all                               12:00:00\n"
		"2019-10-01 00:00 – 2019-10-02 00:00  open  updated 0.4 s ago\n"
		"watermark 2019-10-01 11:59:55   event-time lag 5.0 s\n"
		"stage         sessions                   of view of previous\n"
		"view            44,700 ████████████████  100.0 %\n"
		"cart             1,322 ▍                   3.0 %       3.0 %\n"
		"purchase           640 ▏                   1.4 %      48.4 %\n"
		"bought without a cart 1,123   left without purchase 42,930\n"
		"purchases 1,913   orders 1,779   revenue 447,805.46\n"
		"top 1d:category                            orders    revenue\n"
		"electronics.smartphone      ██████████████  1,200    310,000\n"
		"top 1d:brand                               orders    revenue\n"
		"acme                        ██████████████    300    123,457\n"
		"rows in 150,123   events 149,000   dead 23   late 0\n"
		"q quit  r rollup  g group  s sort  h help\n";
	/* clang-format on */
	struct tail_view view = view_of(60, 15);

	cr_expect_str_eq(draw(&view), want);
}

Test(tail_screen, one_picture_without_a_terminal_in_ascii)
{
	/* clang-format off */
	static const char want[] =
		"funnel  shop_  1d:brand  zenith\n"
		"2019-10-01 00:00 - 2019-10-02 00:00  final                     updated 0.4 s ago\n"
		"watermark 2019-10-01 11:59:55   event-time lag 5.0 s   events/s 0\n"
		"\n"
		"stage         sessions                           of view of previous       fewer\n"
		"view                 0                                 -\n"
		"cart                 0                                 -           -           0\n"
		"purchase             0                                 -           -           0\n"
		"\n"
		"purchases 0   orders 3   revenue 12.34   average order 4.11\n"
		"views 27   carts 0   removed 0   checkouts 0\n"
		"\n"
		"top 1d:category      orders    revenue   top 1d:brand          orders    revenue\n"
		"~ctronics.smartphone  1,200    310,000   acme                     300    123,457\n"
		"unknown                  79     10,000   zenith                     3         12\n"
		"\n"
		"rows in 150,123   events 149,000   dead letters 23   duplicates 1,100   late 0\n";
	/* clang-format on */
	struct tail_view view = view_of(80, 0);

	view.unicode = false;
	view.rollup = "1d:brand";
	view.group = "zenith";
	cr_expect_str_eq(draw(&view), want);
}

Test(tail_screen, nothing_has_arrived_yet)
{
	/* clang-format off */
	static const char want[] =
		"funnel  shop_\n"
		"no totals yet\n"
		"watermark none yet\n"
		"\n"
		"stage         sessions                           of view of previous       fewer\n"
		"view                 0                                 -\n"
		"cart                 0                                 -           -           0\n"
		"purchase             0                                 -           -           0\n"
		"\n"
		"purchases 0   orders 0   revenue 0.00\n"
		"views 0   carts 0   removed 0   checkouts 0\n"
		"\n"
		"\n"
		"rows in 0   events 0   dead letters 0   duplicates 0   late 0\n";
	/* clang-format on */
	struct tail_view view = view_of(80, 0);

	tail_model_free(&model);
	tail_model_init(&model, 4);
	cr_expect_str_eq(draw(&view), want);
}

Test(tail_screen, the_help_fits_on_a_usual_terminal)
{
	struct tail_view view = view_of(80, 24);

	view.help = true;
	cr_expect(strstr(draw(&view), "\nq          quit\n"), "%s", text.at);
	cr_expect(strstr(text.at, "in this order.\n"), "%s", text.at);
}

Test(tail_screen, every_size_keeps_its_bounds)
{
	for (int width = 1; width <= 140; width++)
		for (int height = 1; height <= 50; height++) {
			struct tail_view view = view_of(width, height);
			int lines = 0;

			view.help = width % 2;
			view.trouble = width % 3 ? "" : "Kafka at 10.0.0.1:9092 does not answer";
			for (const char *at = draw(&view); *at; lines++) {
				const char *line_end = strchr(at, '\n');

				cr_assert(line_end);
				cr_assert_leq(tail_columns(
						      (struct span){at, (size_t)(line_end - at)}),
				              width, "%d x %d: %s", width, height, text.at);
				at = line_end + 1;
			}
			cr_assert_eq(lines, height, "%d x %d: %d lines", width, height, lines);
		}
}

Test(tail_screen, a_stage_list_with_checkout_has_four_stages)
{
	struct tail_view view = view_of(80, 0);

	cr_expect_not(strstr(draw(&view), "\ncheckout "));
	add_total("1d:all", KIT_DAY0_US, US_PER_DAY, "all",
	          (struct measures){.view_sessions = 4,
	                            .funnel_cart_sessions = 3,
	                            .funnel_checkout_sessions = 2,
	                            .funnel_purchase_sessions = 1},
	          true);
	draw(&view);
	cr_expect(strstr(text.at, "\ncheckout             2 "), "%s", text.at);
	cr_expect(strstr(text.at, "  final "), "%s", text.at);
}

Test(tail_screen, says_what_does_not_answer_and_what_is_missing)
{
	struct tail_view view = view_of(80, 0);

	view.trouble = "Kafka at 127.0.0.1:1 does not answer";
	cr_expect(strstr(draw(&view), view.trouble));
	view.trouble = "";
	view.read_percent = 43;
	cr_expect(strstr(draw(&view), "reading what is there: 43 %"));
	view.read_percent = 100;
	model.unreadable = 1234;
	cr_expect(strstr(draw(&view), "1,234 records cannot be decoded"));
	model.unreadable = 0;
	model.flow.source_count = 3;
	cr_expect(strstr(draw(&view), "(1 of 3 partitions)"));
}

Test(tail_screen, shows_the_sessions_of_the_last_windows)
{
	struct tail_view view = view_of(80, 0);

	for (int i = 0; i < 8; i++)
		add_total("1m:all", NOON_US + i * US_PER_MINUTE, US_PER_MINUTE, "all",
		          (struct measures){.sessions = i}, false);
	view.rollup = "1m:all";
	cr_expect(strstr(draw(&view), "sessions in 8 windows ▁▂▃▄▅▆▇█\n"), "%s", text.at);
	view.back = 2;
	cr_expect(strstr(draw(&view), "sessions in 6 windows ▁▂▃▅▆█\n"), "%s", text.at);
	cr_expect(strstr(text.at, "2019-10-01 12:05 – 12:06  open  (2 back)"), "%s", text.at);
}

Test(tail_screen, colours_only_where_they_are_wanted)
{
	struct tail_view view = view_of(80, 24);

	cr_expect_not(strchr(draw(&view), '\033'));
	view.colour = true;
	cr_expect(strstr(draw(&view), "\033[32m"));
}

/* A brand is a text that the project does not control. */
Test(tail_screen, a_text_cannot_send_commands_to_the_terminal)
{
	struct tail_view view = view_of(80, 24);

	add_total("1d:brand", KIT_DAY0_US, US_PER_DAY, "\033[2J\xff\xc2\x9b\n\r\x7f",
	          sold(900, 99999999), false);
	draw(&view);
	cr_expect_not(strchr(text.at, '\033'));
	cr_expect_not(strchr(text.at, '\r'));
	cr_expect(strstr(text.at, "?[2J?????"), "%s", text.at);
}

/* ---- lines and texts */

static const char *name_in(const char *name, int columns, bool unicode)
{
	struct tail_line line = {&text, 0, 80, false, unicode};

	text.len = 0;
	tail_line_name(&line, TAIL_NORMAL, span_of(name), columns);
	tail_line_pad(&line, columns);
	tail_line_put(&line, TAIL_NORMAL, "|");
	buffer_append(&text, "", 1);
	return text.at;
}

Test(tail_line, names_are_cut_at_their_beginning_and_take_their_columns)
{
	static const struct {
		const char *name;
		int columns;
		const char *want, *ascii;
	} table[] = {
		{"acme", 6, "acme  |", "acme  |"},
		{"electronics.tv", 6, "…cs.tv|", "~cs.tv|"},
		{"électro", 7, "électro|", "?lectro|"},
		{"日本語", 6, "日本語|", NULL},
		{"日本語", 5, "…本語|", NULL},
		{"日本語", 4, "…語 |", NULL},
		{"e\xcc\x81t", 2, "e\xcc\x81t|", NULL},
		{"\xff\xfe", 3, "?? |", "?? |"},
		{"", 2, "  |", "  |"},
		{"x", 0, "|", "|"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		cr_expect_str_eq(name_in(table[i].name, table[i].columns, true), table[i].want);
		if (table[i].ascii)
			cr_expect_str_eq(name_in(table[i].name, table[i].columns, false),
			                 table[i].ascii);
	}
	buffer_free(&text);
}

Test(tail_line, bars_have_eighths_of_a_column)
{
	static const struct {
		int64_t value, max;
		const char *want, *ascii;
	} table[] = {
		{0, 8, "", ""},     {8, 8, "████", "####"},
		{4, 8, "██", "##"}, {1, 1000, "▏", "."},
		{3, 16, "▊", "#"},  {9, 8, "████", "####"},
		{1, 0, "", ""},     {5, 16, "█▎", "#."},
		{-1, 8, "", ""},    {INT64_MAX, INT64_MAX, "████", "####"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		for (int unicode = 0; unicode < 2; unicode++) {
			struct tail_line line = {&text, 0, 80, false, unicode};

			text.len = 0;
			tail_line_bar(&line, TAIL_GOOD, table[i].value, table[i].max, 4);
			buffer_append(&text, "", 1);
			cr_expect_str_eq(text.at, unicode ? table[i].want : table[i].ascii,
			                 "row %zu", i);
		}
	buffer_free(&text);
}

Test(tail_text, numbers_and_ages_as_people_read_them)
{
	char out[TAIL_TEXT_MAX];

	cr_expect_str_eq(tail_count(0, out), "0");
	cr_expect_str_eq(tail_count(999, out), "999");
	cr_expect_str_eq(tail_count(1000, out), "1,000");
	cr_expect_str_eq(tail_count(-123456, out), "-123,456");
	cr_expect_str_eq(tail_count(INT64_MAX, out), "9,223,372,036,854,775,807");
	cr_expect_str_eq(tail_money(5, out), "0.05");
	cr_expect_str_eq(tail_money(INT64_MAX, out), "92,233,720,368,547,758.07");
	cr_expect_str_eq(tail_percent(1, 3, out), "33.3 %");
	cr_expect_str_eq(tail_percent(1, 0, out), "-");
	cr_expect_str_eq(tail_age(-5, out), "0.0 s");
	cr_expect_str_eq(tail_age(400000, out), "0.4 s");
	cr_expect_str_eq(tail_age(119 * US_PER_SECOND, out), "119 s");
	cr_expect_str_eq(tail_age(5 * US_PER_MINUTE, out), "5 min");
	cr_expect_str_eq(tail_age(47 * US_PER_HOUR, out), "47 h");
	cr_expect_str_eq(tail_age(2615 * US_PER_DAY, out), "2,615 d");
}
