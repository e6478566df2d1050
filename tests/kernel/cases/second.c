/* Another file, linked after sample.c. */
#include <test.h>

TEST(second_fails, EVENTS, "a test that fails")
{
    FAIL("on purpose");
}
