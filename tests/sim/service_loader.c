/* The program pg-loader, with another name for its main. */
#define main pg_loader_main
int pg_loader_main(int argc, char **argv);
#include "../../pg-loader/main.c" /* NOLINT */
