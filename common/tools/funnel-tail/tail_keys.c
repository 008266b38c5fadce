#include "tail_keys.h"

#include <stdio.h>

#include "tail_terminal.h"

#define GROUPS_MAX 1000 /* that the keys reach */

void tail_control_init(struct tail_control *control, const char *rollup, const char *group)
{
	*control = (struct tail_control){.view = {.trouble = "", .prefix = ""}};
	snprintf(control->rollup, sizeof(control->rollup), "%s", rollup);
	snprintf(control->group, sizeof(control->group), "%s", group);
	control->view.rollup = control->rollup;
	control->view.group = control->group;
}

static void next_rollup(struct tail_control *control, const struct tail_model *model, int step)
{
	int at = tail_model_rollup(model, control->rollup), count = model->rollup_count;

	if (at < 0)
		return;
	at = (at + step + count) % count;
	snprintf(control->rollup, sizeof(control->rollup), "%s", model->rollups[at].name);
	control->group[0] = '\0';
	control->view.back = 0;
}

static void next_group(struct tail_control *control, const struct tail_model *model, int step)
{
	static const struct tail_total *top[GROUPS_MAX];
	struct tail_choice choice = tail_choose(model, &control->view);
	int count, at = 0;

	if (!choice.window)
		return;
	count = (int)tail_window_top(choice.window, control->view.sort, top, GROUPS_MAX);
	if (count == 0)
		return;
	while (at < count && !span_equal(top[at]->group, choice.group))
		at++;
	at = at == count ? 0 : (at + step + count) % count;
	snprintf(control->group, sizeof(control->group), "%.*s", (int)top[at]->group.len,
	         top[at]->group.at);
}

static void move_window(struct tail_control *control, const struct tail_model *model, int step)
{
	struct tail_choice choice = tail_choose(model, &control->view);
	int back = control->view.back + step;

	if (choice.rollup && back >= 0 && back < choice.rollup->window_count)
		control->view.back = back;
}

bool tail_control_key(struct tail_control *control, const struct tail_model *model, int key)
{
	struct tail_view *view = &control->view;

	switch (key) {
	case 'q':
	case 'Q': return false;
	case 'r': next_rollup(control, model, 1); break;
	case 'R': next_rollup(control, model, -1); break;
	case 'g': next_group(control, model, 1); break;
	case 'G': next_group(control, model, -1); break;
	case TAIL_KEY_LEFT: move_window(control, model, 1); break;
	case TAIL_KEY_RIGHT: move_window(control, model, -1); break;
	case TAIL_KEY_END: view->back = 0; break;
	case 's': view->sort = (enum tail_sort)((view->sort + 1) % TAIL_SORT_COUNT); break;
	case 'p':
	case ' ': view->paused = !view->paused; break;
	case 'h':
	case '?': view->help = !view->help; break;
	default: break;
	}
	return true;
}
