package loop

// trimEvery is how often a loop gives back what it keeps and did not use, in milliseconds.
const trimEvery = 1000

// trim gives back half of the coroutines and buffers that were idle all the time since the last trim, the coldest: after
// a burst of connections, thousands of stacks and buffers would stay otherwise.
func (l *Loop) trim() {
	l.trimmed = l.now
	n := (l.lowFree + 1) / 2
	for _, c := range l.free[:n] {
		c.stop()
		l.forget(c)
	}
	l.free = drop(l.free, n)
	l.lowFree = len(l.free)

	l.bufs = drop(l.bufs, (l.lowBufs+1)/2)
	l.lowBufs = len(l.bufs)
	l.smalls = drop(l.smalls, (l.lowSmalls+1)/2)
	l.lowSmalls = len(l.smalls)
	l.pages = drop(l.pages, (l.lowPages+1)/2)
	l.lowPages = len(l.pages)
}

// drop removes the first n elements: pools lend the last one first.
func drop[T any](pool []T, n int) []T {
	m := copy(pool, pool[n:])
	clear(pool[m:])
	return pool[:m]
}
