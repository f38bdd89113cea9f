/* SPDX-License-Identifier: MIT */
/*
 * pool.h - pools, between the files that make them and those that start gcx
 */
#ifndef GCX_POOL_INTERNAL_H
#define GCX_POOL_INTERNAL_H

#include "pool-idle.h"

/* What the program holds: a tracked object in the collected heap. */
struct gcx_pool {
  uint64_t signature; /* GCX__POOL_SIGNATURE while it can be used */
  struct gcx__pool *pool;
  uint32_t id;
  uint32_t type_number;
  bool lends_buffers;
  bool wipes; /* what is given back */
  size_t max_bytes;
  unsigned max_class; /* of a buffer of so many bytes */
  void *arg;          /* of the functions: reachable from here alone */
  void *anchor[];     /* idle objects */
};
#define GCX__POOL_SIGNATURE UINT64_C(0x6c6f6f702d786367)
extern const struct gcx_type gcx__pool_type GCX_HIDDEN;

/* ---- members, between pool.c and pool-member.c */

/* A member is lent: anew, or for the first time. */
void gcx__pool_lend(struct gcx__pool *pool, uint32_t number, size_t bytes,
                    struct gcx__thread *t, const struct gcx__frame *start);

/* A new member, lent; NULL and errno. */
void *gcx__pool_make(struct gcx_pool *p, size_t bytes,
                     const struct gcx__frame *start);

/* Taken -> idle (an object: claimed), for the caller alone to shelve or end;
 * false: it was not taken. @state: as the caller has read it. */
bool gcx__pool_claim(const struct gcx__pool *pool, uint32_t number,
                     uint32_t state, uint32_t site);

/* Record of a member of @p that is taken, and its state; 0: reported. */
uint32_t gcx__pool_find_taken(const struct gcx_pool *p, const void *buf,
                              uint32_t *ret_state,
                              const struct gcx__frame *start);

/* A claimed member ends: its functions run. */
void gcx__pool_end_member(struct gcx__pool *pool, uint32_t number, void *object,
                          uint32_t site);

/* The class in which a buffer whose cell has so much room is kept: at least that
 * for which it was made. */
static inline unsigned gcx__pool_home(const struct gcx_pool *p, size_t room)
{
  unsigned class = gcx__pool_class_of_room(room);

  return GCX_MIN(class, p->max_class);
}

/* A claimed member goes back, or ends if it can't be kept. */
void gcx__pool_keep(struct gcx_pool *p, struct gcx__pool_hand *h,
                    uint32_t number, void *object, uint32_t site);

/* Members that are taken, each with its stack: GCX-POOL-OUTSTANDING; their
 * number. Nothing is said of what the parent of a fork has taken. */
size_t gcx__pool_report_outstanding(struct gcx__pool *pool,
                                    const struct gcx__frame *start);

/* leak=dispose: see gcx__finding_on_lent. */
bool gcx__pool_reclaim(uint32_t number);

/* Of the type of pools: pool.c, for pool-create.c. */
int gcx__pool_dispose(void *obj);

void gcx__pool_init(void);

#endif
