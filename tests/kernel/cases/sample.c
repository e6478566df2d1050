/* Two tests, so that there is something to build. */
#include <boot.h>
#include <test.h>

#include "number.h"

TEST(sample_passes, ENTER, "a test that passes")
{
    CHECK_EQ(NUMBER, 42);
}

TEST(sample_powers_off, POWER, "a test that ends its domain", .needs = "pv|hvm dom0",
     .ends = "poweroff")
{
    boot_shutdown(0);
}
