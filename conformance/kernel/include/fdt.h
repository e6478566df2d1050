/* Read a flattened device tree (Devicetree Specification, chapter 5; versions 16 and 17). */

#ifndef FDT_H
#define FDT_H

#include <stdbool.h>
#include <stdint.h>

/* A node of the tree; FDT_NONE is no node. Good as long as the tree is not moved or changed. */
typedef uint32_t fdt_node_t;
#define FDT_NONE ((fdt_node_t)0)

/* Whether `fdt` starts with the header of a device tree that this reader understands. The other
 * functions want one. */
bool fdt_valid(const void *fdt);

/* The bytes that the whole tree takes. */
uint32_t fdt_size(const void *fdt);

/* The node at `path` ("/", "/chosen", "/xen/console"); a part of the path without a unit address
 * ("@…") takes the first node that has the name, whatever its unit address is. */
fdt_node_t fdt_find(const void *fdt, const char *path);

/* The first node, in the order of the tree, that has `value` among the strings of `property`. */
fdt_node_t fdt_find_with(const void *fdt, const char *property, const char *value);

/* The value of a property, its length in bytes in *length (which may be NULL); NULL: no such
 * property, or `node` is FDT_NONE. */
const void *fdt_property(const void *fdt, fdt_node_t node, const char *name, uint32_t *length);

/* A property that is a string; NULL where there is none, or it has no end. */
const char *fdt_string(const void *fdt, fdt_node_t node, const char *name);

/* Number `index` of a property made of numbers of `cells` (1 or 2) 32-bit cells each; `fallback`
 * where the property is not there or too short. Offsets of mixed sizes: index in single cells. */
uint64_t fdt_number(const void *fdt, fdt_node_t node, const char *name, uint32_t index,
                    uint32_t cells, uint64_t fallback);

#endif
