/* SPDX-License-Identifier: GPL-2.0 */
/* What a page table says of a page: shared by helpers.c and the bindings. */
#ifndef SVA_PAGE_STATE_H
#define SVA_PAGE_STATE_H

enum sva_page_state {
	/* Nothing is there yet. */
	SVA_PAGE_ABSENT,
	/* A page is there, but not for this access. */
	SVA_PAGE_PRESENT,
	/* The process itself could do the access without a fault. */
	SVA_PAGE_READY,
	/* In swap, on its way elsewhere, or something else that may have to be waited for. */
	SVA_PAGE_AWAY,
};

#endif /* SVA_PAGE_STATE_H */
