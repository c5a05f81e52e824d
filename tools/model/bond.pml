/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The life of a bond; Documentation/model.rst tells how to read it. Two devices are members of one
 * group, and two processes are bound. A fault that is put in on purpose is a name that the
 * preprocessor is given: spin must find an error then.
 */
#define DEVICES	2
#define SPACES	2
#define PASIDS	2

#define NO_HOOK	0	/* the driver is not called, */
#define ON_EXIT	1	/* or when the process exits, as one in C, */
#define ALWAYS	2	/* or whatever ends the bond, as one in Rust */

#define UNBIND	0	/* why a bond ends */
#define EXIT	1
#define SHUTDOWN 2

typedef Bond {
	byte state;
	byte pasid;
	byte life;		/* tells handles of one bond from those of the next */
	short own;		/* how often it is bound by itself */
	bit part;		/* of the group's bond */
	bit owner;		/* more than the end is left to come */
	bit called;		/* the driver has been, */
	byte by;		/* by that task */
	byte starting;		/* how many are starting the device */
	bit attached		/* by what the group's bonds share */
};
typedef Device {
	bit open;		/* bonds may be made */
	bit leaves;		/* nobody may hold it any more */
	bit gone;		/* and so has its driver */
	byte holds;
	byte under[PASIDS];	/* its list of bonds: 0, or 1 + the space whose bond it is */
	bit asks;		/* a group of page requests is unanswered, */
	bit waits;		/* and is on the list of those that wait, */
	bit served;		/* by a worker, which has not gone yet; */
	byte at;		/* it came from there */
	bit refused		/* nothing of it may wait */
};
typedef Space {
	bit locked;
	byte asleep;		/* who sleeps on the condition variable, a bit each */
	bit gone;		/* the process has exited */
	byte users;		/* who keeps it from that */
	bit attached;		/* the attachment to the group: */
	bit leaving;		/* reports are refused */
	byte pasid;
	byte used;		/* how many bonds use it */
	byte reports;		/* how many are under way, */
	byte accepted;		/* that are not refused */
	byte group_users;	/* the group's bond: how often it is bound */
	byte group_life
};

Bond bonds[DEVICES * SPACES];
Device devices[DEVICES];
Space spaces[SPACES];
bit taken[PASIDS];
byte kind;			/* of hook */
bit stuck;			/* the page that a worker waits for never comes */
bit joined;			/* the second device has been initialised */

#define BOND	bonds[(d) * SPACES + (s)]
#define DEVICE	devices[d]
#define SPACE	spaces[s]
#define FIRST	bonds[s]
#define SECOND	bonds[SPACES + (s)]
#define IS_THERE(b)	(b.state == live || b.state == stopping)

/* Made from bond.table: the states, and for each event where it may happen and where it leads. */
#include "arrows.pml"

#ifdef IGNORES_CALL
#define CALLED_ELSEWHERE(b) false
#elif defined(WAITS_FOR_ITSELF)
#define CALLED_ELSEWHERE(b) (b.state == stopping)
#else
#define CALLED_ELSEWHERE(b) (b.state == stopping && b.by != _pid)
#endif

inline lock(s)
{
	atomic { !SPACE.locked -> SPACE.locked = 1 }
}
inline sleep(s)
{
	atomic { SPACE.asleep = SPACE.asleep | (1 << _pid); SPACE.locked = 0 };
	atomic { !(SPACE.asleep & (1 << _pid)) && !SPACE.locked -> SPACE.locked = 1 }
}
inline wake(s)
{
	SPACE.asleep = 0
}

/* A process whose memory is being used does not exit. */
inline use(s, ok)
{
	atomic { ok = !SPACE.gone; SPACE.users = SPACE.users + ok }
}

/* The driver of a device that is held is there. */
inline hold(d, ok)
{
	atomic { ok = !DEVICE.leaves; DEVICE.holds = DEVICE.holds + ok }
}
inline let_go(d)
{
	d_step { assert(DEVICE.holds > 0 && !DEVICE.gone); DEVICE.holds-- }
}

/* Page requests. A group has one answer, as long as its device is there. */
inline respond(d)
{
	assert(DEVICE.asks);
	assert(may_answer(bonds[DEVICE.at].state) || may_answer(bonds[SPACES + DEVICE.at].state));
	DEVICE.asks = 0
}
inline give_up(d)		/* answers one that waits, unless that has been done */
{
	d_step {
		if
#ifdef ANSWERS_TWICE
		:: DEVICE.served ->
#else
		:: DEVICE.waits ->
#endif
			respond(d); assert(!DEVICE.gone); DEVICE.waits = 0; DEVICE.holds--
		:: else
		fi
	}
}
inline abandon(d, s)
{
	if
	:: atomic { DEVICE.waits && DEVICE.at == s -> give_up(d) }
	:: atomic { !(DEVICE.waits && DEVICE.at == s) -> skip }
	fi
}
proctype Reports(byte d)	/* in the IOMMU driver's thread */
{
	byte s;
	bit ok, accepted;

	if
	:: true			/* whenever it likes, */
	:: true -> goto done	/* or not at all */
	fi;
	atomic {
		if		/* the core finds what is attached under the PASID */
		:: !DEVICE.asks && spaces[0].attached -> s = 0
		:: !DEVICE.asks && spaces[1].attached -> s = 1
		:: else -> goto done
		fi;
		SPACE.reports++;
#ifdef REPORTS_WHILE_DETACHED
		ok = 1;
#else
		ok = !SPACE.leaving;
#endif
		SPACE.accepted = SPACE.accepted + ok;
		accepted = ok;
		DEVICE.asks = 1;
		DEVICE.at = s;
		assert(may_request(FIRST.state) || may_request(SECOND.state))
	};
	if
	:: d_step { !accepted -> respond(d) }
	:: accepted ->
		if
		:: d_step { true -> respond(d) }	/* it is there, or cannot be had */
		:: hold(d, ok);				/* it has to wait */
			if
			:: d_step { !ok -> respond(d) }
			:: d_step { ok ->
				if
#ifndef WAITS_WHILE_LEAVING
				:: DEVICE.leaves -> respond(d); DEVICE.holds--
#endif
				:: !DEVICE.leaves && DEVICE.refused -> respond(d); DEVICE.holds--
				:: else -> DEVICE.waits = 1; DEVICE.served = 1
				fi }
			fi
		fi
	fi;
	d_step { SPACE.reports--; SPACE.accepted = SPACE.accepted - accepted };
done:	skip
}
#define IS_DUE(d) (devices[d].served && (!devices[d].waits || !stuck || spaces[devices[d].at].gone))
active proctype Worker()
{
end:	do			/* its page has come, or it has been woken, or its process has gone */
	:: d_step { IS_DUE(0) -> give_up(0); devices[0].served = 0 }
	:: d_step { IS_DUE(1) -> give_up(1); devices[1].served = 0 }
	od
}

/* Making: the caller has the lock, and keeps it until the bond is live or ended. */
inline make_bond(d, s, ok)
{
	hold(d, ok);
	d_step {
		if			/* the PASID that the process has, or the lowest that is free */
		:: !ok
		:: ok && SPACE.attached -> BOND.pasid = SPACE.pasid
		:: ok && !SPACE.attached && !taken[0] -> BOND.pasid = 0; taken[0] = 1
		:: ok && !SPACE.attached && taken[0] -> assert(!taken[1]); BOND.pasid = 1; taken[1] = 1
		fi
	};
	if
	:: ok ->
		d_step {
			make(BOND);
			BOND.life++;
			BOND.owner = 1;
			BOND.called = 0;
			BOND.own = 0;
			BOND.part = 0
		};
		d_step {
#ifdef LISTED_WHEN_SHUT
			ok = 1;
#else
			ok = DEVICE.open;
#endif
			if		/* a PASID that could be had is on no list */
			:: ok -> assert(!DEVICE.under[BOND.pasid]); DEVICE.under[BOND.pasid] = s + 1
			:: else
			fi
		};
		if
		:: d_step { ok && !SPACE.attached ->
			SPACE.attached = 1; SPACE.leaving = 0; SPACE.pasid = BOND.pasid; SPACE.used = 1;
			BOND.attached = 1 }
		:: d_step { ok && SPACE.attached -> SPACE.used++; BOND.attached = 1 }
		:: !ok -> discard_bond(d, s)
		fi
	:: else
	fi
}
inline unlist(d, s)
{
	d_step {
		if
		:: DEVICE.under[BOND.pasid] == s + 1 -> DEVICE.under[BOND.pasid] = 0
		:: else
		fi
	}
}
inline free_pasid(d, s)		/* unless others have it still */
{
	d_step {
		if
		:: !SPACE.attached -> taken[BOND.pasid] = 0;
#ifndef OLD_ORDER
			assert(devices[0].under[BOND.pasid] != s + 1);
			assert(devices[1].under[BOND.pasid] != s + 1)
#endif
		:: else
		fi
	}
}
inline discard_bond(d, s)
{
	unlist(d, s);
	d_step { discard(BOND) };
	free_pasid(d, s);
	let_go(d)
}
inline detach(d, s)
{
	d_step { SPACE.used--; BOND.attached = 0 };
	if
#ifdef FREES_WHAT_IS_SHARED
	:: true ->
#else
	:: SPACE.used == 0 ->
#endif
		SPACE.leaving = 1;
#ifndef WAITS_FOR_NO_REPORT
		SPACE.reports == 0;
#endif
#ifndef GIVES_NOTHING_UP
		abandon(0, s);
		abandon(1, s);
#endif
		d_step {	/* there are IOMMU drivers that free what is under way now */
			assert(SPACE.accepted == 0);
			SPACE.attached = 0
		};
#ifndef WAITS_FOR_NO_REPORT
		SPACE.reports == 0;
#endif
		d_step {
			assert(!(devices[0].waits && devices[0].at == s));
			assert(!(devices[1].waits && devices[1].at == s))
		}
	:: else -> abandon(d, s)
	fi
}

/* The last step, with the lock, which it gives back: a bond that is there ends. */
inline finish_bond(d, s)
{
#ifdef UNLISTED_FIRST		/* the mend that comes to mind: a shutdown finds nothing */
	unlist(d, s);
	detach(d, s);
	free_pasid(d, s);
#elif defined(OLD_ORDER)	/* as it was once: a bind is given the PASID */
	detach(d, s);
	free_pasid(d, s);
	unlist(d, s);
#else
	detach(d, s);
	unlist(d, s);
	free_pasid(d, s);
#endif
	d_step {
		finish(BOND);
		BOND.part = 0;
#ifndef WAKES_NOBODY
		wake(s);
#endif
		SPACE.locked = 0
	};
	let_go(d)
}
#ifdef CALLS_TWICE
#define MAY_STOP(b)	b.owner
#else
#define MAY_STOP(b)	(b.state == live)
#endif
#define IS_CALLED(why)	(kind == ALWAYS || (kind == ON_EXIT && why == EXIT))
#define IS_STOPPED_FIRST(b, why) (MAY_STOP(b) && (IS_CALLED(why) || (b.starting && why != EXIT)))

/* The driver is called, without the lock, after those who start the device. */
inline stop_bond(d, s, why)
{
	d_step {
#ifdef CALLS_TWICE
		BOND.state = stopping;
#else
		begin_stop(BOND);
#endif
		BOND.by = _pid;
		BOND.owner = (kind != ALWAYS)
	};
#ifndef STARTS_ARE_IGNORED
	do
	:: BOND.starting -> sleep(s)
	:: else -> break
	od;
#endif
	if
	:: IS_CALLED(why) ->
#ifndef CALLED_WITH_LOCK
		SPACE.locked = 0;
#endif
		call(d, s);
#ifndef CALLED_WITH_LOCK
		lock(s)
#endif
	:: else
	fi
}
inline call(d, s)
{
	d_step {
		assert(!DEVICE.gone && !BOND.called && !BOND.starting && may_call_exit(BOND.state));
		BOND.called = 1
	};
#ifndef WAITS_WHILE_STOPPING
	d_step { DEVICE.refused = 1; give_up(d) };
#endif
	if
	/* There are devices that are not quiet before they have their answer. */
	:: kind == ALWAYS -> !DEVICE.waits; assert(BOND.state == stopping && BOND.by == _pid)
	:: kind == ON_EXIT -> assert(BOND.state == stopping && BOND.by == _pid)
	/* The driver may unbind. */
	:: kind == ON_EXIT ->
		lock(s);
		do
		:: CALLED_ELSEWHERE(BOND) -> sleep(s)
		:: else -> break
		od;
		atomic { unbind(BOND); BOND.own-- };
		if
		:: BOND.own + BOND.part * SPACE.group_users <= 0 -> finish_bond(d, s)
		:: else -> SPACE.locked = 0
		fi
	fi;
	DEVICE.refused = 0
}
/* Calls the driver if that is due, and ends the bond; with the lock, which it gives back. */
inline end_locked(d, s, why)
{
	if
	:: IS_STOPPED_FIRST(BOND, why) -> stop_bond(d, s, why)
	:: else
	fi;
	if
	:: IS_THERE(BOND) -> finish_bond(d, s)
	:: else -> SPACE.locked = 0
	fi
}
/* The lock, when nobody else calls the driver; not if that bond has ended. */
inline lock_uncalled(d, s, life, ok)
{
	lock(s);
	do
	:: BOND.life == life && CALLED_ELSEWHERE(BOND) -> sleep(s)
	:: else -> break
	od;
	atomic {
		ok = (BOND.life == life && IS_THERE(BOND));
		SPACE.locked = ok
	}
}

/* A driver binds a process, perhaps starts the device, and unbinds. */
proctype User(byte d; byte s; bit starts)
{
	byte life;
	bit ok;

	use(s, ok);
	if
	:: !ok -> goto done
	:: else
	fi;
	lock(s);
	do
	:: CALLED_ELSEWHERE(BOND) -> sleep(s)
	:: else -> break
	od;
	if
	:: d_step { BOND.state == live -> bind(BOND); BOND.own++ }
	:: else ->
		make_bond(d, s, ok);
		if
		:: d_step { ok -> BOND.own = 1; go_live(BOND) }
		:: else
		fi
	fi;
	d_step { life = BOND.life; SPACE.locked = 0; SPACE.users-- };
	if
	:: !ok -> goto done
	:: else
	fi;
	if
	:: starts -> lock(s);
		if
#ifdef STARTS_LATE
		:: d_step { BOND.life == life && IS_THERE(BOND) -> BOND.starting++; SPACE.locked = 0 };
#else
		:: d_step { BOND.life == life && BOND.state == live -> BOND.starting++; SPACE.locked = 0 };
#endif
			assert(!DEVICE.gone && !BOND.called);	/* the device works now */
			lock(s);
			d_step { BOND.starting--; wake(s) }
		:: else
		fi;
		SPACE.locked = 0
	:: else
	fi;
#ifdef COUNTS_WITHOUT_LOCK
	BOND.own--;
	lock_uncalled(d, s, life, ok);
	if
	:: ok && BOND.own <= 0 -> end_locked(d, s, UNBIND)
	:: ok && BOND.own > 0 -> SPACE.locked = 0
	:: else -> assert(SPACE.gone || DEVICE.leaves)
	fi;
#else
	lock_uncalled(d, s, life, ok);
	if
	:: ok ->
		d_step { unbind(BOND); BOND.own-- };
		if
		:: BOND.own + BOND.part * SPACE.group_users > 0 -> SPACE.locked = 0
		:: else -> end_locked(d, s, UNBIND)
		fi
	/* A bond ends by nothing else. */
	:: else -> assert(SPACE.gone || DEVICE.leaves)
	fi;
#endif
done:	skip
}

/* A process exits, and bonds whose drivers want to hear of it end. */
proctype Exit(byte s)
{
	byte d, life;
	bit ok;

	atomic { SPACE.users == 0 -> SPACE.gone = 1 };
	do
	:: d < DEVICES -> lock(s);
		if
		:: BOND.state == live && kind != NO_HOOK ->
			life = BOND.life;
			stop_bond(d, s, EXIT);
			SPACE.locked = 0;
			lock_uncalled(d, s, life, ok);
			if
			:: ok -> end_locked(d, s, EXIT)
			:: else
			fi
		:: else -> SPACE.locked = 0
		fi;
		d++
	:: else -> break
	od
}

/* A device is unplugged, or its driver leaves it, by rmmod or otherwise. */
proctype Shutdown(byte d)
{
	byte s, life;
	bit ok;

	DEVICE.leaves = 1;
	DEVICE.open = 0;
	give_up(d);
	do
	:: d_step { DEVICE.under[0] || DEVICE.under[1] ->
			s = (DEVICE.under[0] -> DEVICE.under[0] : DEVICE.under[1]) - 1; life = BOND.life };
		lock_uncalled(d, s, life, ok);
		if
		:: ok -> end_locked(d, s, SHUTDOWN)
		:: else
		fi
	:: else -> break
	od;
	atomic {		/* for this device nothing is attached */
		s = 0; assert(!BOND.attached);
		s = 1; assert(!BOND.attached)
	};
#ifndef HOLDS_ARE_IGNORED
	DEVICE.holds == 0;
#endif
	DEVICE.gone = 1
}

/* A driver binds all members of the group, or none, and unbinds them. */
#define HAS_PART(b)	(IS_THERE(b) && b.part)
inline bind_member(d, s)
{
	if
	:: d_step { BOND.state == live -> met = met | (1 << d); BOND.part = 1 }
	:: else ->
		make_bond(d, s, ok);
		if
		:: d_step { ok -> made = made | (1 << d); BOND.part = 1 }
		:: else -> break
		fi
	fi
}
inline undo_member(d, s)
{
	if
#ifdef ENDS_WHAT_IT_MET
	:: met & (1 << d) -> finish_bond(d, s); lock(s)
#endif
	:: made & (1 << d) -> detach(d, s); discard_bond(d, s); BOND.part = 0
	:: else ->
		if
		:: met & (1 << d) -> BOND.part = 0
		:: else
		fi
	fi
}
inline announce(d, s)
{
	if
	:: made & (1 << d) -> go_live(BOND)
	:: else
	fi
}
proctype Group(byte s)
{
	byte d, life, made, met;
	bit ok, late;

	use(s, ok);
	if
	:: !ok -> goto done
	:: else
	fi;
	lock(s);
	do
	:: CALLED_ELSEWHERE(FIRST) || CALLED_ELSEWHERE(SECOND) -> sleep(s)
	:: else -> break
	od;
	atomic {
		if
		:: !HAS_PART(FIRST) && !HAS_PART(SECOND) -> SPACE.group_users = 0; SPACE.group_life++
		:: else
		fi
	};
#ifdef LOOKS_ONCE
	late = !devices[1].open;
#endif
	do			/* again after each */
	:: devices[0].open && !FIRST.part -> bind_member(0, s)
	:: devices[1].open && !SECOND.part && !late -> bind_member(1, s)
	:: else -> break
	od;
	ok = ok && (made || met);
	if
	:: ok -> d_step {
			SPACE.group_users++; life = SPACE.group_life;
			announce(0, s); announce(1, s)
		}
	:: else -> undo_member(0, s); undo_member(1, s)
	fi;
	d_step { SPACE.locked = 0; SPACE.users-- };
	if
	:: !ok -> goto done
	:: else
	fi;

	lock(s);
	do
	:: (HAS_PART(FIRST) && CALLED_ELSEWHERE(FIRST)) ||
	   (HAS_PART(SECOND) && CALLED_ELSEWHERE(SECOND)) -> sleep(s)
	:: else -> break
	od;
	/* A device that was initialised meanwhile is a part: one of the two sees the other. */
	assert(!(joined && life == SPACE.group_life && HAS_PART(FIRST) && !HAS_PART(SECOND)
		 && !devices[1].leaves && !SPACE.gone));
	if
	:: d_step { life == SPACE.group_life && SPACE.group_users && (HAS_PART(FIRST) || HAS_PART(SECOND))
		-> SPACE.group_users--; SPACE.locked = 0 };
		do
		:: lock(s);
			if
			:: HAS_PART(FIRST) && FIRST.own + SPACE.group_users <= 0 -> d = 0
			:: HAS_PART(SECOND) && SECOND.own + SPACE.group_users <= 0 -> d = 1
			:: else -> break
			fi;
			if
			:: CALLED_ELSEWHERE(BOND) -> sleep(s); SPACE.locked = 0
			:: else -> end_locked(d, s, UNBIND)
			fi
		od;
		if
		:: d_step { SPACE.group_users == 0 -> FIRST.part = 0; SECOND.part = 0 }
		:: else
		fi
	:: else
	fi;
	SPACE.locked = 0;
done:	skip
}
/* The second device is initialised, and joins what its group has. */
proctype Join(byte s)
{
	byte d = 1;
	bit ok;

	DEVICE.open = 1;
#ifndef JOINS_NOTHING
	if
	:: devices[0].under[0] == s + 1 || devices[0].under[1] == s + 1 -> use(s, ok)
	:: else
	fi;
	if
	:: ok -> lock(s);
		if
		:: FIRST.state == live && FIRST.part && SPACE.group_users && BOND.state == ended ->
			make_bond(d, s, ok);
			if
			:: d_step { ok -> BOND.part = 1; go_live(BOND) }
			:: else
			fi
		:: else
		fi;
		d_step { SPACE.locked = 0; SPACE.users-- }
	:: else
	fi;
#endif
	joined = 1
}

/* Casts: who takes part. */
#ifdef PASIDS_GO_ROUND		/* two processes, of which one has two drivers' threads */
#define CAST	run User(0, 0, 0); run User(0, 1, 0); run User(0, 0, 0); run Shutdown(0)
#elif defined(COUNTS)		/* threads that bind one process, which exits */
#define CAST	run User(0, 0, 1); run User(0, 0, 0); run Exit(0); run Shutdown(0)
#elif defined(REQUESTS)		/* page requests meanwhile */
#define CAST	run User(0, 0, 1); run Reports(0); run Reports(0); \
	if :: run Exit(0) :: run Shutdown(0) :: run Exit(0); run Shutdown(0) :: true fi
#elif defined(GROUPS)		/* a group, whose other member comes and goes */
#define CAST	run Group(0); run User(0, 0, 0); run Join(0); run Shutdown(1)
#elif defined(GROUP_REQUESTS)
#define CAST	run Group(0); run Join(0); run Reports(1); run Shutdown(1)
#endif

/* Then all drivers leave, the module goes, and nothing may be left. */
init {
	pid base = _nr_pr;

	atomic {
		devices[0].open = 1;
		select(kind : NO_HOOK .. ALWAYS);
		select(stuck : 0 .. 1);
		CAST
	};
	_nr_pr == base;
	atomic {
		if :: !devices[0].gone -> run Shutdown(0) :: else fi;
		if :: !devices[1].gone -> run Shutdown(1) :: else fi
	};
	_nr_pr == base;
	!devices[0].served && !devices[1].served;
	d_step {
		assert(!taken[0] && !taken[1] && !spaces[0].attached && !spaces[1].attached);
		assert(!devices[0].asks && !devices[1].asks);
		assert(!devices[0].holds && !devices[1].holds && !spaces[0].users && !spaces[1].users);
		assert(bonds[0].state == ended && bonds[1].state == ended
		       && bonds[2].state == ended && bonds[3].state == ended)
	}
}
