/* Numbers of the machine's processors. */
#ifndef XENPORT_X86_PROCESSORS_H
#define XENPORT_X86_PROCESSORS_H

#define SECOND_CPU 1               /* there in environments that provide "second-processor" */
#define NO_CPU 0x7000              /* a number that no processor has */

#endif
