/* The program bronze-sink, with another name for its main. */
#define main bronze_sink_main
int bronze_sink_main(int argc, char **argv);
#include "../../bronze-sink/main.c" /* NOLINT */
