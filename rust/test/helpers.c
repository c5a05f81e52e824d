// SPDX-License-Identifier: GPL-2.0
/* Functions of the kernel that are inline or macros, and what else is easier in C. */

#include "helpers/fault_attr.c"
#include "helpers/gup.c"
#include "helpers/kunit.c"
