package cache

import (
	"encoding/binary"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"time"
)

// spool is an answer that is too large for memory, on its way to the disk while it comes: 64 KiB at a time, and never more than a few of these in
// memory. It has no head until it is whole. The fill that makes it calls push, and finish or abort.
type spool struct {
	*write
	d *disk
	f *fill

	// The disk's lock guards these.
	chunks [][]byte // to be written
	lag    int64    // bytes of them, and of those that are being written
	whole  bool     // that was all
	dead   bool     // nothing more is written

	// The keeper's.
	file  file
	temp  string
	id    uint64
	from  int64 // where the content begins
	size  int64 // of it, so far
	table []byte
	room  int64 // set aside for the file
}

// headroom is how much longer a head may become when the length of the content is known.
const headroom = 64

// roomStep is how much room is set aside at once for content of unknown length.
const roomStep = 4 << 20

// spool begins to write the answer of a fill. nil: it cannot be done.
func (d *disk) spool(f *fill) *spool {
	if d == nil {
		return nil
	}
	p := &spool{d: d, f: f, write: &write{fileName: fileNameOf(f.key, &f.entry.choice), key: f.key, memory: f.hash, entry: f.entry, begun: true, spooled: true}}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state != diskReady || d.ending || d.paused() || time.Now().Before(d.spoolAfter) {
		d.s.Stats.DiskDropped.Add(1)
		return nil
	}
	for _, o := range d.spools {
		if o.fileName == p.fileName && !o.dead && !o.cancelled {
			return nil // one is enough
		}
	}
	d.spools = append(d.spools, p)
	d.pending[p.fileName.key] = append(d.pending[p.fileName.key], p.write)
	return p
}

// push adds content: a chunk of chunkSize bytes, or the last one. Where the disk is slower than the readers, the answer is not stored.
func (p *spool) push(c []byte) {
	d := p.d
	d.mu.Lock()
	defer d.ring()
	defer d.mu.Unlock()
	switch n := int64(len(c)); {
	case p.dead:
	case p.cancelled || p.lag+n > max(d.most, 2*window):
		p.dead, p.chunks = true, nil
	default:
		p.chunks = append(p.chunks, c)
		p.lag += n
	}
}

// spoolPatience is how long the readers of one answer may have waited for the disk when they have so much of it: a moment, and what slows none
// down below 256 MiB in a second. A disk that writes as fast as that keeps up with whatever readers there are.
func spoolPatience(size int64) time.Duration {
	return 50*time.Millisecond + time.Duration(size>>18)*time.Second>>10
}

// behind reports whether the disk should get a little time.
func (p *spool) behind() bool {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	return !p.dead && p.lag > max(p.d.most/2, window)
}

// tooSlow ends a spool for which readers have waited long enough, and lets none begin for a while.
func (p *spool) tooSlow() {
	p.d.mu.Lock()
	p.dead, p.chunks = true, nil
	p.d.spoolAfter = time.Now().Add(slowTime)
	p.d.mu.Unlock()
	p.d.ring()
}

// finish says that all content was pushed, and what the answer is. mu of the fill's shard is held.
func (p *spool) finish(e *entry) {
	d := p.d
	d.mu.Lock()
	d.unindex(p.fileName.key, &p.fileName, false) // it will be replaced, or removed
	p.entry, p.whole = e, true
	d.mu.Unlock()
	d.ring()
}

// abort says that the answer is not to be stored.
func (p *spool) abort() {
	p.d.mu.Lock()
	p.dead, p.chunks, p.cancelled = true, nil, true
	p.d.mu.Unlock()
	p.d.ring()
}

// spoolNext writes what there is of one spool. It reports whether there was anything to do.
func (d *disk) spoolNext() bool {
	d.mu.Lock()
	var p *spool
	for i, o := range d.spools {
		if len(o.chunks) > 0 || o.whole || o.dead || o.cancelled {
			p = o
			copy(d.spools[i:], d.spools[i+1:]) // others have their turn first next time
			d.spools[len(d.spools)-1] = p
			break
		}
	}
	if p == nil {
		d.mu.Unlock()
		return false
	}
	chunks, whole, dead := p.chunks, p.whole, p.dead || p.cancelled
	p.chunks = nil
	d.mu.Unlock()
	err := error(errGivenUp)
	if !dead {
		err = p.store(chunks)
	}
	if err == nil && whole {
		err = p.complete()
	}
	if err != nil || whole {
		d.endSpool(p, err)
		return true
	}
	d.mu.Lock()
	for _, c := range chunks {
		p.lag -= int64(len(c))
	}
	d.mu.Unlock()
	p.f.caughtUp()
	return true
}

// store writes content.
func (p *spool) store(chunks [][]byte) (err error) {
	d := p.d
	if p.file == nil {
		p.id = rand.Uint64()
		head := appendDiskHead(d.scratch[:0], p.key, p.entry, p.id, d.epoch, 0)
		d.scratch = head[:0]
		if p.from = int64(len(head) + headroom); p.from > maxDiskHead {
			return errGivenUp
		}
		if err := p.reserve(p.from + max(p.f.length, 0)); err != nil {
			return err
		}
		p.temp = d.tempName()
		if p.file, err = d.fs.create(p.temp); err != nil {
			return err
		}
	}
	for _, c := range chunks {
		if err := p.reserve(p.from + p.size + int64(len(c))); err != nil {
			return err
		}
		p.table = binary.LittleEndian.AppendUint32(p.table, blockSum(p.id, p.size/chunkSize, c))
		if _, err := p.file.WriteAt(c, p.from+p.size); err != nil {
			return err
		}
		p.size += int64(len(c))
	}
	return nil
}

// complete writes what is known at the end only.
func (p *spool) complete() error {
	d := p.d
	if p.size != p.entry.size {
		return errGivenUp
	}
	if _, err := p.file.WriteAt(p.table, p.from+p.size); err != nil {
		return err
	}
	head := appendDiskHead(d.scratch[:0], p.key, p.entry, p.id, d.epoch, 0)
	pad := int(p.from) - len(head)
	if pad < 0 || pad > headroom {
		return errGivenUp
	}
	head = appendDiskHead(head[:0], p.key, p.entry, p.id, d.epoch, pad)
	d.scratch = head[:0]
	_, err := p.file.WriteAt(head, 0)
	return err
}

// reserve sets room aside for a file of that size.
func (p *spool) reserve(size int64) error {
	size += sums(size)*sumSize + diskBlock
	if size <= p.room {
		return nil
	}
	more := max(size-p.room, roomStep)
	if p.f.length >= 0 {
		more = size - p.room
	}
	d := p.d
	if err := d.makeRoom(more); err != nil {
		return err
	}
	p.room += more
	d.mu.Lock()
	d.aside += more
	d.mu.Unlock()
	return nil
}

// endSpool ends a spool: the answer is there, or it is not.
func (d *disk) endSpool(p *spool, err error) {
	if p.file != nil {
		if err2 := p.file.Close(); err == nil {
			err = err2
		}
	}
	d.mu.Lock()
	p.dead, p.chunks = true, nil
	for i, o := range d.spools {
		if o == p {
			d.spools = append(d.spools[:i], d.spools[i+1:]...)
			break
		}
	}
	d.aside -= p.room
	d.mu.Unlock()
	p.f.caughtUp()
	d.written(p.temp, p.write, p.from+p.size+int64(len(p.table)), err)
}

// tempName returns a name for a file that is not finished.
func (d *disk) tempName() string {
	d.temps++
	return filepath.Join(d.dir, tempDir, strconv.FormatUint(d.temps, 10))
}
