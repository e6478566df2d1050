/* A header of the tests themselves. */
#define NUMBER 42
