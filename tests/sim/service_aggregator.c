/* The program funnel-aggregator, with another name for its main. */
#define main funnel_aggregator_main
int funnel_aggregator_main(int argc, char **argv);
#include "../../funnel-aggregator/main.c" /* NOLINT */
