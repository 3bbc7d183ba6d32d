package cache

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// disk is the second tier of a store: a file for each answer, in a directory that belongs to this process alone. What comes into memory is
// written behind it, and is still here when memory has let go of it, or the process has ended.
//
// Everything that changes the directory is done by one goroutine, the keeper, so that no loop ever waits for it: what cannot be written as
// fast as it comes is not written. What is in the directory is known from the names of the files alone; the keeper reads them at the start,
// and until it has, there is nothing to be found here. Reading is done by whoever wants to read (see reading).
//
// A nil *disk is no disk: it knows nothing and takes nothing.
type disk struct {
	dir   string
	s     *store
	log   *zap.Logger
	fs    fileSystem
	epoch int64 // of the store's clock, in milliseconds since 1970

	slow    atomic.Int64 // until when nothing is looked up, in milliseconds of the store's clock
	reads   readQueue
	bell    chan struct{} // something for the keeper to do
	done    chan struct{} // it has ended
	quit    chan struct{} // it shall end
	scratch []byte        // the keeper's, as are the next ones
	temps   uint64        // unfinished files there were
	held    *os.File      // the lock
	looked  time.Time     // when the directory was last seen to be ours

	mu         sync.Mutex // guards what follows; never held over anything slow
	state      diskState
	trouble    string // why it is not used, or not written; "" when all is well
	told       bool   // the log knows of trouble
	failed     time.Time
	size       int64
	index      *diskIndex
	seq        uint32
	queue      []*write
	spools     []*spool
	spoolAfter time.Time // the next one may begin
	aside      int64     // room that is set aside for them
	later      []*write  // those that have time, in the order in which they are due
	queued     int64     // bytes of content in it
	most       int64     // bound of that
	pending    map[uint64][]*write
	doomed     []fileName // files that have to go
	waiters    []chan struct{}
	forgotten  map[uint64]bool // keys, while the directory is being read
	owed       []*purge        // likewise
	pause      time.Time       // until when nothing is written
	ending     bool
	given      bool // up, for another directory or none
}

// diskState is how far the disk tier is.
type diskState uint8

const (
	diskWaiting diskState = iota // for the directory to be there, and nobody else in it
	diskLoading                  // reads what is in it
	diskReady
	diskClosed
)

func (s diskState) String() string { return [...]string{"waiting", "loading", "ready", "closed"}[s] }

// What a disk that cannot be used is left in peace for.
const (
	retryOpen  = 2 * time.Second
	retryWrite = time.Second
	quietTime  = 30 * time.Second // without trouble: then it is over
	lookTime   = time.Second      // between looks at whether the directory is still there
	closeTime  = 5 * time.Second
	hurryTime  = 500 * time.Millisecond // to remove what a write was to replace that is given up
)

// openDisk makes a disk tier and starts its keeper. It does not wait for anything. Close it.
func openDisk(s *store, c *Disk, memory int64, log *zap.Logger) *disk {
	d := makeDisk(s, c, memory, log)
	go d.keep()
	return d
}

func makeDisk(s *store, c *Disk, memory int64, log *zap.Logger) *disk {
	if log == nil {
		log = zap.NewNop()
	}
	d := &disk{
		dir: c.Path, s: s, log: log.With(zap.String("directory", c.Path)), fs: s.files, epoch: s.start.UnixMilli(), size: c.Size,
		bell: make(chan struct{}, 1), done: make(chan struct{}), quit: make(chan struct{}),
		index: newDiskIndex(), pending: map[uint64][]*write{}, forgotten: map[uint64]bool{}, seq: rand.Uint32(),
	}
	d.reads.room = maxReads
	d.resize(c.Size, memory)
	return d
}

// resize changes the bounds.
func (d *disk) resize(size, memory int64) {
	d.mu.Lock()
	d.size = size
	d.most = min(max(memory/8, 1<<20), 64<<20)
	d.mu.Unlock()
	d.ring()
}

// ring tells the keeper that there is something to do.
func (d *disk) ring() {
	select {
	case d.bell <- struct{}{}:
	default:
	}
}

// Close writes what is still to be written, for some seconds at most and no longer than there is time, and lets go of the directory.
func (d *disk) Close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	if !d.ending {
		d.ending = true
		close(d.quit)
	}
	d.mu.Unlock()
	select {
	case <-d.done:
	case <-time.After(2 * closeTime): // it hangs in the kernel, and there is nothing to be done about it
	case <-d.s.hurried:
		select {
		case <-d.done:
		case <-time.After(hurryTime):
		}
	}
}

// keep is the keeper.
func (d *disk) keep() {
	defer close(d.done)
	defer d.leave()
	for {
		if d.held = d.occupy(); d.held == nil {
			return
		}
		lost := d.load() && d.work()
		if !lost && d.unkept() {
			d.disown()
		}
		d.held.Close()
		if !lost {
			return
		}
		d.vacate()
	}
}

// work does what there is to do, and returns when the tier is closed. It reports whether it was the directory that has gone.
func (d *disk) work() (lost bool) {
	for {
		select {
		case <-d.quit: // however much there is to do
			d.finish()
			return false
		default:
		}
		if !d.ours() {
			return true
		}
		if d.sweep() || d.shrink() || d.spoolNext() {
			continue
		}
		did, wait := d.writeNext()
		if did {
			continue
		}
		var due <-chan time.Time
		if wait > 0 {
			due = time.After(wait)
		}
		select {
		case <-d.bell:
		case <-due:
		case <-d.quit:
		}
	}
}

// finish does what is still to be done, for closeTime at most and until there is no time any more.
func (d *disk) finish() {
	for end := time.Now().Add(closeTime); time.Now().Before(end) && !d.s.inHurry(); {
		if d.sweep() || d.spoolNext() {
			continue
		}
		if did, _ := d.writeNext(); !did {
			return
		}
	}
	d.mu.Lock()
	for _, w := range d.queue { // an older answer in the place of one of these would be found by the next process
		d.cancel(w)
	}
	for _, p := range d.spools {
		if p.whole {
			d.cancel(p.write)
		}
	}
	d.mu.Unlock()
	d.sweep()
}

// leave ends the tier: nothing is found in it or put into it any more, and nobody waits for it.
func (d *disk) leave() {
	d.mu.Lock()
	d.state = diskClosed
	d.index, d.queue, d.later, d.pending, d.queued = newDiskIndex(), nil, nil, map[uint64][]*write{}, 0
	d.mu.Unlock()
	d.release()
}

// release tells those who wait for files to be gone to wait no longer.
func (d *disk) release() {
	d.mu.Lock()
	list := d.waiters
	d.waiters = nil
	d.mu.Unlock()
	for _, w := range list {
		close(w)
	}
}

// sweep removes the files that have to go, and tells those who wait for that. It reports whether there was anything to do.
func (d *disk) sweep() bool {
	d.mu.Lock()
	list, waiters := d.doomed, d.waiters
	d.doomed, d.waiters = nil, nil
	d.mu.Unlock()
	for _, n := range list {
		d.mu.Lock()
		live := d.index.get(n) != 0 // another answer has taken its name
		d.mu.Unlock()
		if !live {
			d.unlink(n)
		}
	}
	for _, w := range waiters {
		close(w)
	}
	return len(list) > 0 || len(waiters) > 0
}

func (d *disk) unlink(n fileName) {
	if err := d.fs.remove(filepath.Join(d.dir, n.path())); err != nil && !os.IsNotExist(err) {
		d.fail("remove a file", err)
	}
}

// shrink makes room after the bound was lowered. It reports whether there is more to do.
func (d *disk) shrink() bool {
	n, over := d.evict(0)
	if n != (fileName{}) {
		d.unlink(n)
	}
	return over
}

// evict takes one file out of the index, if there must be room for more. The caller removes the file. over: there was too much.
func (d *disk) evict(need int64) (n fileName, over bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.index.bytes+d.aside+need <= d.size {
		return n, false
	}
	i := d.index.victim(d.s.inMemory)
	if i == 0 {
		return n, false
	}
	n = d.index.at(i).fileName
	d.index.remove(i)
	d.s.Stats.DiskEvicted.Add(1)
	return n, true
}

// settle waits until files that had to go before are gone. Not on a loop.
func (d *disk) settle() {
	if d == nil {
		return
	}
	d.mu.Lock()
	if d.ending || d.state == diskClosed || d.state == diskWaiting && d.trouble != "" {
		d.mu.Unlock()
		return
	}
	w := make(chan struct{})
	d.waiters = append(d.waiters, w)
	d.mu.Unlock()
	d.ring()
	<-w
}

// found is a file that may be the answer.
type found struct {
	fileName
	seq     uint32
	blocks  uint32
	strange bool // its tags are not known
}

// find appends the files there are for a key to list. memory is the store's hash of it. Somebody is going to use them.
func (d *disk) find(key, memory uint64, list []found) []found {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state != diskReady {
		return list
	}
	for i := d.index.first[key]; i != 0; {
		r := d.index.at(i)
		r.used, r.memory = true, memory
		list = append(list, found{r.fileName, r.seq, r.blocks, r.tags == ^uint64(0)})
		i = r.next
	}
	return list
}

// holds reports whether the index still has that very file.
func (d *disk) holds(f found) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.index.get(f.fileName)
	return i != 0 && d.index.at(i).seq == f.seq
}

// has reports whether there is an answer of that name, written or about to be.
func (d *disk) has(n fileName) bool {
	if d == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.index.get(n) != 0 {
		return true
	}
	for _, w := range d.pending[n.key] {
		if w.fileName == n && !w.cancelled {
			return true
		}
	}
	return false
}

// fail notes that the directory cannot be worked with, and leaves it in peace for a while. It is told once.
func (d *disk) fail(what string, err error) {
	d.s.Stats.DiskErrors.Add(1)
	d.mu.Lock()
	first := !d.told
	d.trouble, d.told, d.failed = what+": "+err.Error(), true, time.Now()
	d.pause = d.failed.Add(retryWrite)
	d.mu.Unlock()
	if first {
		d.log.Warn("cache: the disk tier cannot "+what+", memory serves on", zap.Error(err))
	}
}

// recovered notes that it can be worked with again. That is told when it has lasted: a full disk has room for a file now and then.
func (d *disk) recovered() {
	d.mu.Lock()
	d.trouble = ""
	tell := d.told && time.Since(d.failed) >= quietTime
	d.told = d.told && !tell
	d.mu.Unlock()
	if tell {
		d.log.Info("cache: the disk tier works again")
	}
}

// damaged forgets a file that is not what was written.
func (d *disk) damaged(n fileName) {
	d.s.Stats.DiskCorrupt.Add(1)
	d.log.Warn("cache: a damaged file is removed", zap.String("file", n.path()))
	d.drop(n)
}

// DiskSnapshot is what a disk tier is like at a moment.
type DiskSnapshot struct {
	Path    string
	State   string // waiting, loading, ready or closed
	Trouble string // why it is not used, or not written to; "": it is
	Objects int    // files
	Bytes   int64  // of the files, in blocks of the file system
	Size    int64  // the bound of that
	Queued  int64  // bytes waiting to be written
}

func (d *disk) snapshot() *DiskSnapshot {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return &DiskSnapshot{Path: d.dir, State: d.state.String(), Trouble: d.trouble, Objects: d.index.count, Bytes: d.index.bytes, Size: d.size, Queued: d.queued}
}
