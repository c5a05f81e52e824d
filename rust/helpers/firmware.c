// SPDX-License-Identifier: GPL-2.0
/* Devices that firmware describes and software plays. */

#include <linux/interrupt.h>
#include <linux/ioport.h>
#include <linux/of.h>
#include <linux/of_platform.h>
#include <linux/platform_device.h>

/* The first device compatible with @what that has the property @mark. May sleep. */
struct platform_device *rust_helper_sva_find_played(const char *what, const char *mark)
{
	struct device_node *node = NULL;

	while ((node = of_find_compatible_node(node, NULL, what))) {
		struct platform_device *pdev;

		if (!of_property_present(node, mark))
			continue;
		pdev = of_find_device_by_node(node);
		if (pdev) {
			of_node_put(node);
			return pdev;
		}
	}
	return NULL;
}

int rust_helper_sva_registers(struct platform_device *pdev, u64 *phys, u64 *size)
{
	struct resource *res = platform_get_resource(pdev, IORESOURCE_MEM, 0);

	if (!res)
		return -EINVAL;
	*phys = res->start;
	*size = resource_size(res);
	return 0;
}

int rust_helper_sva_raise_irq(u32 irq)
{
	return irq_set_irqchip_state(irq, IRQCHIP_STATE_PENDING, true);
}
