/* SPDX-License-Identifier: GPL-2.0 */
/* What a page table says of pages: shared by helpers.c and the bindings. */
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

/* So many pages of which it says the same. */
struct sva_page_run {
	enum sva_page_state state;
	unsigned int pages;
};

#endif /* SVA_PAGE_STATE_H */
