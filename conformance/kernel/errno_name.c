/* Names of the error numbers that every release has. */
#include <stddef.h>

#include <errno.h>
#include <print.h>

const char *errno_name(long number)
{
    switch (number) {
#define NAME(name)                                                                                 \
    case XEN_##name:                                                                               \
        return #name
        NAME(EPERM);
        NAME(ENOENT);
        NAME(ESRCH);
        NAME(EIO);
        NAME(ENXIO);
        NAME(E2BIG);
        NAME(ENOEXEC);
        NAME(EBADF);
        NAME(ECHILD);
        NAME(EAGAIN);
        NAME(ENOMEM);
        NAME(EACCES);
        NAME(EFAULT);
        NAME(EBUSY);
        NAME(EEXIST);
        NAME(EXDEV);
        NAME(ENODEV);
        NAME(EISDIR);
        NAME(EINVAL);
        NAME(ENFILE);
        NAME(EMFILE);
        NAME(ENOSPC);
        NAME(EROFS);
        NAME(EMLINK);
        NAME(EDOM);
        NAME(ERANGE);
        NAME(EDEADLK);
        NAME(ENAMETOOLONG);
        NAME(ENOLCK);
        NAME(ENOSYS);
        NAME(ENOTEMPTY);
        NAME(ENODATA);
        NAME(ETIME);
        NAME(EBADMSG);
        NAME(EOVERFLOW);
        NAME(EILSEQ);
        NAME(ENOTSOCK);
        NAME(EOPNOTSUPP);
        NAME(EADDRINUSE);
        NAME(EADDRNOTAVAIL);
        NAME(ENOBUFS);
        NAME(EISCONN);
        NAME(ENOTCONN);
        NAME(ETIMEDOUT);
#undef NAME
    default:
        return NULL;
    }
}
