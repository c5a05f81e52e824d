/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads. Our own headers are bound whole; a macro of the kernel
 * that bindgen cannot evaluate gets a constant named RUST_CONST_HELPER_*.
 */

#include <linux/anon_inodes.h>
#include <linux/interrupt.h>
#include <linux/io-pgtable.h>
#include <linux/iommu.h>
#include <linux/mman.h>
#include <linux/mm.h>
#include <linux/mock_accel.h>
#include <linux/mock_pci.h>
#include <linux/mock_smmu.h>
#include <linux/mock_uacce.h>
#define SVA_SEED_NAMES
#include <linux/sva_seed.h>
#include <linux/sva_test_point.h>
#include <linux/uacce.h>
#include <trace/events/sva.h>

#include "page_state.h"

/* Exported for modules, but declared in a header that only the IOMMU core has. */
int iommu_attach_group_handle(struct iommu_domain *domain, struct iommu_group *group,
			      struct iommu_attach_handle *handle);
void iommu_detach_group_handle(struct iommu_domain *domain, struct iommu_group *group);

static const u32 RUST_CONST_HELPER_FAULT_FLAG_REMOTE = FAULT_FLAG_REMOTE;
static const u32 RUST_CONST_HELPER_FAULT_FLAG_USER = FAULT_FLAG_USER;
static const u32 RUST_CONST_HELPER_FAULT_FLAG_WRITE = FAULT_FLAG_WRITE;
static const u32 RUST_CONST_HELPER_FAULT_FLAG_INSTRUCTION = FAULT_FLAG_INSTRUCTION;
static const u32 RUST_CONST_HELPER_FAULT_FLAG_VMA_LOCK = FAULT_FLAG_VMA_LOCK;
static const u32 RUST_CONST_HELPER_FAULT_FLAG_ALLOW_RETRY = FAULT_FLAG_ALLOW_RETRY;
static const u32 RUST_CONST_HELPER_FAULT_FLAG_KILLABLE = FAULT_FLAG_KILLABLE;
static const u32 RUST_CONST_HELPER_FAULT_FLAG_INTERRUPTIBLE = FAULT_FLAG_INTERRUPTIBLE;
static const u32 RUST_CONST_HELPER_FAULT_FLAG_TRIED = FAULT_FLAG_TRIED;
static const u32 RUST_CONST_HELPER_VM_FAULT_ERROR = VM_FAULT_ERROR;
static const u32 RUST_CONST_HELPER_VM_FAULT_RETRY = VM_FAULT_RETRY;
static const u32 RUST_CONST_HELPER_VM_FAULT_COMPLETED = VM_FAULT_COMPLETED;

static const u32 RUST_CONST_HELPER_PROT_NONE = PROT_NONE;
static const u32 RUST_CONST_HELPER_MAP_PRIVATE = MAP_PRIVATE;
static const u32 RUST_CONST_HELPER_MAP_FIXED_NOREPLACE = MAP_FIXED_NOREPLACE;
static const u32 RUST_CONST_HELPER_MAP_NORESERVE = MAP_NORESERVE;

static const u32 RUST_CONST_HELPER_UACCE_DEV_SVA = UACCE_DEV_SVA;

static const unsigned long RUST_CONST_HELPER_IO_PGTABLE_QUIRK_ARM_HD = IO_PGTABLE_QUIRK_ARM_HD;
