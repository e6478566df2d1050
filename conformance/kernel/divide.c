/* Division of 64-bit numbers; see divide.h. */
#include <divide.h>

uint64_t divide(uint64_t dividend, uint64_t divisor, uint64_t *remainder)
{
    uint64_t quotient = 0;
    int shift;

    if (!((dividend | divisor) >> 32)) {
        quotient = divisor ? (uint32_t)dividend / (uint32_t)divisor : 0;
        *remainder = (uint32_t)dividend - (uint32_t)quotient * (uint32_t)divisor;
        return quotient;
    }
    if (divisor && dividend >= divisor) {
        shift = __builtin_clzll(divisor) - __builtin_clzll(dividend);
        for (divisor <<= shift; shift >= 0; shift--, divisor >>= 1) {
            quotient <<= 1;
            if (dividend >= divisor) {
                dividend -= divisor;
                quotient |= 1;
            }
        }
    }
    *remainder = dividend;
    return quotient;
}
