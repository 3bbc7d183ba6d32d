package cache

import (
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// reading is the file of an answer, open for one request. A small answer comes as a whole when the file is opened, a large one in blocks of
// 64 KiB: as many as the client takes, one at a time.
//
// Every read is tried on the loop first, in such a way that the kernel refuses it when it would have to wait for the disk (see readNow). Only then it
// goes to a goroutine, of which there are never more than a few: that costs about as much again as the rest of the hit. A reading belongs to
// a loop, but for the time in which such a goroutine has it.
type reading struct {
	d    *disk
	l    *loop.Loop
	name found
	fd   int // -1: none
	head diskHead
	sums []byte // of all blocks

	buf   *diskBuffer
	n     int   // bytes of the file in buf
	place int64 // block that block holds, -1: none
	block []byte

	// Of a read that a goroutine does.
	job       readJob
	err       error
	back      loop.Event
	returned  func() // runs on the loop when the goroutine has done it
	abandoned bool   // nobody waits for it any more
	away      bool   // the goroutine has it
	path      []byte
	vec       ioVec

	// Of content that is brought into memory: the entry, what there is of it, and how much of what may be under way is set aside for it.
	of        *entry
	collected [][]byte
	reserved  int64
}

// readJob is what a goroutine does with a reading.
type readJob uint8

const (
	jobOpen  readJob = iota // open the file, read its head and what else comes with it
	jobBlock                // read the block place
)

// errWouldWait is the end of an attempt that must not wait for the disk.
var errWouldWait = errors.New("it would have to wait for the disk")

const (
	// lookupPatience is how long a request waits for the disk before it asks the server instead. A disk that is so slow is then left alone for
	// slowTime.
	lookupPatience = 100 * time.Millisecond
	slowTime       = time.Second
	// blockPatience is how long the middle of an answer may take.
	blockPatience = 30 * time.Second
	// maxReads bounds the goroutines that read at once, and maxWaiting the requests that wait for one of them.
	maxReads   = 16
	maxWaiting = 256
)

// diskBuffer holds the beginning of a file, or a block of it. A slow client of a small answer does not hold much.
type diskBuffer struct {
	class int
	b     []byte
}

// bufferSizes has room for files of one block, of a usual page, and for a large file's head and first block.
var bufferSizes = [...]int{diskBlock + 1, 6*diskBlock + 1, chunkSize + 2*diskBlock}

var buffers [len(bufferSizes)]sync.Pool

// bufferFor lends a buffer for a file of that size.
func bufferFor(blocks uint32) *diskBuffer {
	class := 0
	for class < len(bufferSizes)-1 && int64(blocks)*diskBlock >= int64(bufferSizes[class]) {
		class++
	}
	if b, ok := buffers[class].Get().(*diskBuffer); ok {
		return b
	}
	return &diskBuffer{class, make([]byte, bufferSizes[class])}
}

// open opens the file and reads its beginning. It parks if it must, at most for patience. Then head is what the file says, but for its entry.
func (r *reading) open(patience time.Duration) error {
	r.buf = bufferFor(r.name.blocks)
	r.place, r.n, r.fd = -1, 0, -1
	err := r.do(jobOpen, patience)
	if err == nil {
		err = r.parse()
	}
	return err
}

// do does a job: at once if that is possible, else in a goroutine.
func (r *reading) do(job readJob, patience time.Duration) error {
	r.job = job
	err := r.try(true)
	if err != errWouldWait {
		return err
	}
	if patience == 0 || !r.d.reads.enter(r) {
		return errWouldWait
	}
	if !r.back.Wait(r.l, patience) {
		r.abandoned = true
		return errWouldWait
	}
	r.back.Clear()
	return r.err
}

// try does the job. now: only if nobody has to wait for it.
func (r *reading) try(now bool) error {
	if r.job == jobBlock {
		return r.readBlock(now)
	}
	if r.fd < 0 {
		fd, err := r.d.fs.open(r.path, now)
		if err != nil {
			return err
		}
		r.fd = fd
	}
	for r.n < len(r.buf.b) { // which has a byte more than a small file should
		n, err := r.d.fs.read(&r.vec, r.fd, r.buf.b[r.n:], int64(r.n), now)
		if err != nil {
			return err
		}
		if r.n += n; n == 0 {
			break
		}
		if h, err := readPrelude(r.buf.b[:r.n]); err == nil && h.fileSize() == int64(r.n) {
			break // a read for its end alone would be one in three system calls
		}
	}
	return r.readSums(now)
}

// readSums reads the checksums of a file that did not come as a whole.
func (r *reading) readSums(now bool) error {
	h, err := readPrelude(r.buf.b[:r.n])
	if err != nil || h.fileSize() <= int64(r.n) {
		return nil // parse will see it
	}
	if h.fileSize() > int64(r.name.blocks)*diskBlock {
		// Another answer may have taken the name since it was looked up. Else the file lies, and nothing is made of the size it claims.
		var last [1]byte
		if k, err := r.d.fs.read(&r.vec, r.fd, last[:], h.fileSize()-1, now); k == 0 {
			return err
		}
	}
	n := int(sums(h.size) * sumSize)
	if cap(r.sums) < n+1 {
		r.sums = make([]byte, n+1)
	}
	r.sums = r.sums[:n+1] // there must not be one byte more
	got := 0
	for got < len(r.sums) {
		k, err := r.d.fs.read(&r.vec, r.fd, r.sums[got:], h.from+h.size+int64(got), now)
		if err != nil {
			r.sums = r.sums[:0]
			return err
		}
		if k == 0 {
			break
		}
		got += k
	}
	r.sums = r.sums[:got]
	return nil
}

// parse checks what open has read.
func (r *reading) parse() (err error) {
	if r.head, err = readPrelude(r.buf.b[:r.n]); err != nil {
		return err
	}
	h := &r.head
	if whole := h.fileSize(); whole <= int64(r.n) {
		if whole != int64(r.n) {
			return errDamaged
		}
		r.sums = append(r.sums[:0], r.buf.b[h.from+h.size:r.n]...)
		if h.size <= chunkSize {
			r.close()
		}
		if h.size == 0 {
			return nil
		}
	} else if int64(len(r.sums)) != sums(h.size)*sumSize {
		return errDamaged
	}
	if first := min(h.size, chunkSize); h.from+first <= int64(r.n) {
		return r.accept(0, r.buf.b[h.from:h.from+first])
	}
	return nil
}

// accept makes b the block, if it is what was written.
func (r *reading) accept(place int64, b []byte) error {
	if blockSum(r.head.id, place, b) != binary.LittleEndian.Uint32(r.sums[place*sumSize:]) {
		return errDamaged
	}
	r.place, r.block = place, b
	return nil
}

// readBlock reads the block place into the buffer.
func (r *reading) readBlock(now bool) error {
	from := r.place * chunkSize
	size := int(min(chunkSize, r.head.size-from))
	for r.n < size {
		n, err := r.d.fs.read(&r.vec, r.fd, r.buf.b[r.n:size], r.head.from+from+int64(r.n), now)
		if err != nil {
			return err
		}
		if n == 0 {
			return errDamaged
		}
		r.n += n
	}
	return nil
}

// at returns a block of the content, valid until the next call. Without wait, it is nil where it would have to wait for the disk.
func (r *reading) at(place int64, wait bool) ([]byte, error) {
	if r.block != nil && r.place == place {
		return r.block, nil
	}
	if r.block != nil || r.place != place { // not one that was begun before
		r.block, r.place, r.n = nil, place, 0
	}
	patience := time.Duration(0)
	if wait {
		patience = blockPatience
	}
	err := r.do(jobBlock, patience)
	if err == errWouldWait && !wait {
		return nil, nil
	}
	if err == nil {
		err = r.accept(place, r.buf.b[:r.n])
	}
	if err != nil {
		if err == errDamaged {
			r.d.damaged(r.name.fileName)
		}
		return nil, &h1.Error{Status: 502, Side: h1.ByProxy, Err: err, State: 'D'}
	}
	return r.block, nil
}

// close closes the file.
func (r *reading) close() {
	if r.fd < 0 {
		return
	}
	fd := r.fd
	r.fd = -1
	if r.d.holds(r.name) {
		closeFile(fd)
		return
	}
	go closeFile(fd) // the last one who has it open: the file system gives back its blocks now
}

// free gives back what the reading holds, and reports whether it may be used again.
func (r *reading) free() bool {
	r.settle()
	if r.away {
		r.abandoned = true
		return false // whoever has it frees it
	}
	r.close()
	r.block, r.place, r.n = nil, -1, 0
	if cap(r.sums) > diskBlock {
		r.sums = nil
	}
	if r.buf != nil {
		buffers[r.buf.class].Put(r.buf)
		r.buf = nil
	}
	return true
}

// came runs on the loop when a goroutine has done its job.
func (r *reading) came() {
	r.away = false
	if r.abandoned {
		r.free()
		return
	}
	r.back.Set(r.l)
}

// readQueue bounds how many goroutines wait for the disk.
type readQueue struct {
	mu      sync.Mutex
	room    int // goroutines there may be yet
	waiting []*reading
}

// enter hands r to a goroutine. It reports false when too many are waiting already.
func (q *readQueue) enter(r *reading) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.room > 0:
		q.room--
		r.away = true
		go q.run(r)
	case len(q.waiting) < maxWaiting:
		r.away = true
		q.waiting = append(q.waiting, r)
	default:
		return false
	}
	return true
}

// run does what waits until nothing does.
func (q *readQueue) run(r *reading) {
	for r != nil {
		r.err = r.try(false)
		r.l.Post(r.returned)
		q.mu.Lock()
		if len(q.waiting) == 0 {
			r = nil
			q.room++
		} else {
			r = q.waiting[0]
			q.waiting[0] = nil
			q.waiting = q.waiting[1:]
		}
		q.mu.Unlock()
	}
}
